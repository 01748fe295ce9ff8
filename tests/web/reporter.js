/** Tells of each test in one line of JSON: its claim, its file, and what was wrong with it, or null. */
export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { error } = data.details;
    const wrong = type === "test:fail" ? String(error?.cause?.stack ?? error?.cause ?? error) : null;
    yield `${JSON.stringify({ claim: data.name, file: data.file ?? "", wrong })}\n`;
  }
}
