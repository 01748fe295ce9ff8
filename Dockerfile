# Livedrop as an image: one stage fetches what the pages take from npm, one builds, the last only runs.

FROM node:22-slim AS pages
WORKDIR /pages
COPY server/web/package.json server/web/package-lock.json server/web/vendor.mjs ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && npm run --silent vendor -- /vendor

FROM python:3.11-slim AS build
WORKDIR /src
# The pinned packages first: this layer stays as long as the lock does.
COPY requirements.lock ./
RUN python -m venv /opt/livedrop \
 && /opt/livedrop/bin/pip install --quiet --no-cache-dir --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY server server/
COPY --from=pages /vendor server/web/vendor/
COPY lua lua/
RUN python -m pip wheel --quiet --no-cache-dir --no-deps --wheel-dir /wheels . \
 && /opt/livedrop/bin/pip install --quiet --no-cache-dir --no-deps /wheels/livedrop-*.whl

FROM python:3.11-slim
RUN groupadd --system --gid 10001 livedrop \
 && useradd --system --uid 10001 --gid livedrop --home-dir /data --no-create-home --shell /usr/sbin/nologin livedrop \
 && install --directory --owner livedrop --group livedrop /data
COPY --from=build /opt/livedrop /opt/livedrop
ENV PATH=/opt/livedrop/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LIVEDROP_HOST=0.0.0.0 \
    LIVEDROP_PORT=8000 \
    LIVEDROP_DATA=/data
WORKDIR /data
VOLUME /data
# By number, so that a cluster can see that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"LIVEDROP_PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["livedrop"]
CMD ["serve"]
