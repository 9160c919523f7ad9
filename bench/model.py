"""A discrete-event model of nights on many computers: what the data daemon, the nodes, the file system and the ingester do,
one event after the other. Costs are measured ones; what comes out is where the next bottleneck is."""

import heapq
from dataclasses import dataclass, field


@dataclass
class Costs:
    """Seconds, of one night."""

    tasks: dict  # use case -> seconds of each task on a node
    ingest: dict  # use case -> seconds of its batch in the ingester
    start: float = 0.3  # from the decision until a task works, on its node
    daemon: float = 0.03  # of the daemon's own time, per task: start it, take its result
    look: float = 1.0  # until the daemon and the ingester see what happened, on average
    read: dict = field(default_factory=dict)  # use case -> bytes that a task reads
    disk: float = 0.0  # bytes per second that all nodes together can read; 0 = any


def simulate(costs, nights, nodes):
    """Seconds until all is processed and until all is ingested, and how busy nodes, daemon, file system and ingester were."""
    events, serial = [], 0

    def at(time, what, *arguments):
        nonlocal serial
        serial += 1
        heapq.heappush(events, (time, serial, what, arguments))

    queue, free = [], nodes  # tasks by urgency; idle nodes
    left = {(n, u): len(tasks) for n in range(nights) for u, tasks in costs.tasks.items()}
    staged, ingested = {}, set()
    busy = dict(nodes=0.0, daemon=0.0, disk=0.0, ingest=0.0)
    daemon_free = ingest_free = disk_free = 0.0
    processed = done = 0.0
    waiting = []  # batches for the ingester

    def offer(night, use_case):
        for number, seconds in enumerate(costs.tasks[use_case]):
            heapq.heappush(queue, (night, use_case != "metadata", number, use_case, seconds))

    for night in range(nights):
        for use_case in costs.tasks:
            if use_case != "catalogue" or "metadata" not in costs.tasks:
                offer(night, use_case)

    def dispatch(now):
        nonlocal free, daemon_free, disk_free
        while free and queue:
            night, _, _, use_case, seconds = heapq.heappop(queue)
            free -= 1
            # The daemon starts one after the other.
            daemon_free = max(daemon_free, now) + costs.daemon
            busy["daemon"] += costs.daemon
            begun = daemon_free + costs.start
            ends = begun + seconds
            if costs.disk:
                # The file system serves all; a task cannot end before its bytes are read.
                reading = costs.read.get(use_case, 0) / costs.disk
                disk_free = max(disk_free, begun) + reading
                busy["disk"] += reading
                ends = max(ends, disk_free)
            busy["nodes"] += ends - begun
            at(ends, "end", night, use_case)

    def feed(now):
        nonlocal ingest_free
        waiting.sort()
        while waiting and ingest_free <= now:
            order, night, use_case = waiting[0]
            if use_case != "metadata" and "metadata" in costs.tasks and (night, "metadata") not in ingested:
                ready = next((w for w in waiting if w[2] == "metadata" or (w[1], "metadata") in ingested), None)
                if ready is None:
                    return
                order, night, use_case = ready
            waiting.remove((order, night, use_case))
            took = costs.ingest.get(use_case, 0.0)
            ingest_free = now + took
            busy["ingest"] += took
            at(ingest_free, "ingested", night, use_case)

    dispatch(0.0)
    while events:
        now, _, what, arguments = heapq.heappop(events)
        if what == "end":
            free += 1
            night, use_case = arguments
            left[night, use_case] -= 1
            if left[night, use_case] == 0:
                at(now + costs.look, "staged", night, use_case)
        elif what == "staged":
            night, use_case = arguments
            processed = max(processed, now)
            staged[night, use_case] = now
            waiting.append((night, night, use_case))
            # Metadata are ingested before catalogues are cut, or at once where nobody ingests.
            if use_case == "metadata" and "catalogue" in costs.tasks:
                at(now, "offer", night)
        elif what == "offer":
            offer(arguments[0], "catalogue")
        elif what == "ingested":
            ingested.add(arguments)
            done = max(done, now)
        dispatch(now)
        feed(now)
    busy["nodes"] /= nodes
    return processed, done, {k: v / max(done, 1e-9) for k, v in busy.items()}


def scaled(costs, factor):
    """The same survey, a number of times larger: larger nights, in tasks of the same size."""
    return Costs({u: t * factor for u, t in costs.tasks.items()}, {u: s * factor for u, s in costs.ingest.items()},
                 costs.start, costs.daemon, costs.look, costs.read, costs.disk)


def table(costs, nights=30):
    """Lines of a table: nights on 1 to 200 nodes, and surveys ten and a hundred times larger."""
    lines = ["survey  nodes   hours  nights/day  nodes busy  daemon  disk  ingest  next bottleneck"]
    for factor in (1, 10, 100):
        for nodes in (1, 2, 5, 10, 20, 50, 100, 200):
            _, done, busy = simulate(scaled(costs, factor), nights if factor < 100 else 3, nodes)
            count = nights if factor < 100 else 3
            most = max(busy, key=busy.get)
            lines.append(f"x{factor:<6} {nodes:5}  {done / 3600:6.2f}  {count * 86400 / done:10.0f}  {busy['nodes']:10.0%}  "
                         f"{busy['daemon']:6.0%}  {busy['disk']:4.0%}  {busy['ingest']:6.0%}  {most}")
    return lines
