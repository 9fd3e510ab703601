"""Where scripts find the built program: in the folder ISOCHRONE_BIN, else on the path, else in build/release."""
import os
import pathlib
import shutil
import sys

root = pathlib.Path(__file__).resolve().parent.parent


def places():
    """Where to look, as PATH has it."""
    told = os.environ.get("ISOCHRONE_BIN")
    return os.pathsep.join([told] if told else [os.environ["PATH"], str(root / "build/release")])


def bin_folder():
    """The folder that has `isochrone`. Ends the script with what to do where there is none."""
    program = shutil.which("isochrone", path=places())
    if program is None:
        sys.exit(f"error: {os.environ.get('ISOCHRONE_BIN') or 'the path and build/release'}\n  has no program isochrone\n"
                 "  build it with ./run, or set ISOCHRONE_BIN to the folder that has it")
    return str(pathlib.Path(program).parent)
