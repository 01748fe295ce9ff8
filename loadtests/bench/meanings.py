"""What each part of the benchmarks is about: what its goals mean, and how it measures, in a few sentences."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """A part for people: its title, what its goals are for, how it is measured."""

    title: str
    why: str
    how: str


MEANINGS = {
    "fanout": Meaning(
        "One event to many viewers",
        "A drop is only fair if everybody hears of it, and telling them is what most of a server's time goes "
        "into. The goal is to cost hardly more than the system calls: a bare loop with one `write` per socket "
        "is the least that a server with one write per message can spend. The other peers are what people "
        "would use instead.",
        "2,000 idle viewers of each server get events of 160 bytes, one after the other has reached "
        "everybody. The figure is the CPU time of the server's process per delivery, ours divided by the "
        "peer's, round by round. Memory and the cost of letting a viewer in fall off by the way.",
    ),
    "mix": Meaning(
        "A live show's mix",
        "A show talks all the time: stock, numbers of viewers, reactions. Live numbers that leave together "
        "cost one write instead of many, so a message of the mix must cost about a third of what the raw loop "
        "spends on it.",
        "20 messages a second for 10 s to 2,000 viewers, one of them an event of the log; CPU time of the "
        "server per message published and viewer, ours divided by the raw loop's.",
    ),
    "memory": Meaning(
        "An idle viewer",
        "Most viewers watch and say nothing. A server must hold them by the ten thousand without a surprise: "
        "little memory for each, the same for each however many there are, and a delivery that costs the same "
        "among ten times as many.",
        "Fresh servers with a tenth, a half, all, and one and a half times 10,000 viewers: growth of the "
        "process's resident memory per viewer, everything included. Then two servers with 1,000 and 10,000 "
        "viewers in turns: CPU time per delivery, the larger's divided by the smaller's, round by round.",
    ),
    "inbound": Meaning(
        "What viewers say",
        "When a drop opens, thousands speak at once. Reading a message must cost no more than an echo by the "
        "quickest websocket library for Python, and a whole reservation over a websocket few microseconds of "
        "the gateway.",
        "500 connections with one `ping` under way each, against echo servers; then 500 viewers who reserve "
        "with one reservation under way each. CPU time of the server per message.",
    ),
    "sweep": Meaning(
        "To the last viewer of a great crowd",
        "The last of 10,000 viewers must not learn of a drop much later than the machine allows, and who "
        "reserves while all the others are being told must not wait for that.",
        "From just before the script that opens a drop to the receipt of the last viewer, ours divided by the "
        "raw loop's sweep; then again while 64 viewers reserve in turn: the longest wait of any reservation "
        "that was under way during a sweep, the median of the sweeps.",
    ),
    "returning": Meaning(
        "Coming, and coming back",
        "A network that fails brings everybody back within seconds. Letting a viewer in must be cheap, and "
        "nobody who comes back with a place in the log may lose an event or get one twice.",
        "10,000 viewers connect and say hello, are dropped, and come back with their place while the show "
        "goes on; CPU time of the server per handshake and hello, seconds until all are back, and every "
        "offset that each was sent.",
    ),
    "stock": Meaning(
        "Reservations through one Redis",
        "Many reservations share a script call. That must be worth it: against the same script for one "
        "reservation each, against a leaner script that was written for that, and against plain `DECR`, which "
        "holds nothing.",
        "Ways take turns on one Redis. Each reservation is of a viewer who was never seen before; the "
        "pipelined peers are packed and parsed in C, `DECR` comes from `redis-benchmark` where it is "
        "installed. Reservations per second, round by round.",
    ),
    "batches": Meaning(
        "From one reservation at a time to many",
        "No goal of its own: it shows what sharing a script call is worth.",
        "1 to 256 callers at once, and the script alone with so many reservations in each call.",
    ),
    "latency": Meaning(
        "How long a reservation takes",
        "No goal of its own: the picture is in inventory-latency.svg.",
        "Open arrivals at 10, 50 and 90 % of what there is room for; each wait counts from the moment at "
        "which it was meant to begin.",
    ),
    "growth": Meaning(
        "Shows that grow",
        "A reservation must cost the same in a show with ten times the viewers, drops or holds, and a hold "
        "must weigh little, or the largest show would be the slowest.",
        "CPU time of Redis per reservation by the script with a fixed number in each call, in shows that have "
        "grown tenfold beside a small one, round by round; growth of Redis's memory by 100,000 holds, each "
        "another viewer's.",
    ),
    "buying": Meaning(
        "Reservations over websockets",
        "From the viewer's socket to the answer, with everything that happens on the way, against a naive "
        "server that counts a key down for every message and tells nobody.",
        "500 viewers with one reservation under way each; reservations per second, ours divided by the "
        "peer's, round by round.",
    ),
    "paying": Meaning(
        "Checkouts",
        "Orders that are paid together are committed together. That must not be slower than a commit for each "
        "write.",
        "100 buyers pay at once through the whole checkout, flushes to the disk included, with a provider "
        "that takes no time; checkouts per second, ours divided by the same server with one write per "
        "transaction.",
    ),
    "hanging": Meaning(
        "A payment provider that hangs",
        "Who reserves must not notice that checkouts of others wait for their provider.",
        "The same open arrivals with and without 200 checkouts that hang; p99 of a reservation beside them "
        "divided by p99 without, round by round.",
    ),
    "load": Meaning(
        "Everybody at once",
        "The load test's flash: 5,000 viewers, and all who want one of 500 units tap within 200 ms of the "
        "opening. No promise may be broken: every viewer's own record is held against the server's books. The "
        "generator must use less CPU than the server, or its times would be its own.",
        "`livedrop load flash` on a server in two processes on this machine; CPU seconds of the generator's "
        "processes divided by the server's, Redis not counted.",
    ),
}
