"""`weft demo`: shows on this machine what a mesh does for ordinary gRPC services.

Only reads the flags and turns the outcome into an exit code; `weft.demo.story` tells the rest.
"""

import signal
import sys
from types import FrameType

import click


@click.command(name="demo")
@click.option("--once", is_flag=True, help="End by itself; exit code 1 when something is not as it should be.")
@click.option("--mesh", "name", default="demo", show_default=True, metavar="NAME", help="The name of the mesh.")
def command(once: bool, name: str) -> None:
    """Show a shop of gRPC services without the mesh, and with it."""
    from weft.demo.running import DemoFailed, Mesh
    from weft.demo.story import Story
    from weft.demo.view import View

    # Ctrl-C too: a shell that starts a command in the background has it ignore SIGINT.
    for number in ENDING:
        signal.signal(number, _interrupt)
    view = View()

    def stay(mesh: Mesh, front: str) -> None:
        if once:
            return
        view.heading("The shop stays open", "until Ctrl-C; try in another terminal")
        view.hints(
            {
                f"http://{front}/": "the shop's front page, in a browser",
                f"weft stat -w --mesh {name}": "success, requests and latency, live",
                f"weft stat --routes --mesh {name}": "the same for each method",
                f"weft edges --mesh {name}": "who talks to whom",
                f"weft logs loadgen --mesh {name}": "what the load generator counts",
            }
        )
        while True:
            mesh.wait(3600)

    try:
        wrong = Story(name, view).tell(stay)
    except DemoFailed as why:
        raise click.ClickException(str(why)) from why
    except KeyboardInterrupt:
        view.step("closed")
        sys.exit(130 if once else 0)
    if wrong:
        raise click.ClickException(f"{len(wrong)} thing(s) not as they should be; each is marked above")


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in ENDING:  # The mesh is being ended already; a second Ctrl-C would leave that half done.
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
