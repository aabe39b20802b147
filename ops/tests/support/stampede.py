"""Very many requests at the same moment."""

import asyncio
import resource
from urllib.parse import urlsplit

from . import raw


def open_files(count):
    """Lets this process and its children have so many, if they may: both ends of every connection are open files of some process.
    Returns how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, count) if hard == resource.RLIM_INFINITY else min(max(soft, count), hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def asks(node, result):
    """How many questions of a node to owners of keys ended so."""
    text = raw.request(node["admin"], "GET", "/metrics").text
    name = f'tidegate_cache_zone_asks_total{{result="{result}"}} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


async def ask(node, request, go, seconds=30):
    """One request on a connection that was open before: status, or what went wrong."""
    place = urlsplit(node["gateway"])
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        await go()
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), seconds)
        writer.close()
        return int(answer.split(b" ", 2)[1]) if answer else "nothing"
    except (OSError, TimeoutError, IndexError, ValueError) as error:
        return repr(error)


def stampede(region, api, path, count):
    """Requests at the same time, over all nodes in turn: what became of each."""
    head = f"GET /dev{path} HTTP/1.1\r\nHost: {region.host(api)}\r\nConnection: close\r\n\r\n".encode()
    nodes = region.nodes

    async def run():
        all_open = asyncio.Barrier(count)
        return await asyncio.gather(*[ask(nodes[number % len(nodes)], head, all_open.wait) for number in range(count)])

    return asyncio.run(run())
