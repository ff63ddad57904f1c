"""Plugins that are broken, each in another way: what is wrong with it, and its module.

``{n}`` is the number of the plugin, so that all of them can be installed at once.
"""

from __future__ import annotations

HOOK = "import zoo\n@zoo.hookimpl\n"
MODEL = "zoo.ModelInfo(name='model-{n}', summary='A model', target='zoo_b{n}:X', causal=True)"
GOOD = HOOK + f"def zoo_models():\n    return [{MODEL}]\n"
TASK = (
    "zoo.TaskInfo(name='task-{n}', summary='A task', target='zoo_b{n}:X', monitor='loss',"
    " higher_is_better=False)"
)
STR = "class Name(str):\n"


def returns(hook: str, value: str) -> str:
    """Return a module whose hook returns a value."""
    return f"{HOOK}def zoo_{hook}():\n    return {value}\n"


def model(changes: str) -> str:
    """Return a module whose model has other values; those of the name go before."""
    return returns("models", f"[zoo.ModelInfo(**{{**dict(name='model-{{n}}', summary='A model',"
                   f" target='x:Y', causal=True), **dict({changes})}})]")  # fmt: skip


def recipes(content: str) -> str:
    """Return a module that writes a recipe file when it is imported, and names it."""
    return (
        "import pathlib, tempfile\n"
        "path = pathlib.Path(tempfile.mkdtemp()) / 'recipes.toml'\n"
        f"{content}\n" + returns("recipes", "[path]")
    )


# What is wrong with a plugin, and its source. All of them have to be reported as failed.
FAILING: dict[str, str] = {
    "raises at import": "raise RuntimeError('no luck')",
    "raises KeyboardInterrupt": "raise KeyboardInterrupt",
    "raises SystemExit": "import sys\nsys.exit(0)",
    "exits with a message": "import sys\nsys.exit('bye')",
    "raises GeneratorExit": "raise GeneratorExit",
    "raises an own BaseException": "class Stop(BaseException): ...\nraise Stop('now')",
    "raises what has no text": (
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\nraise Odd"
    ),
    "raises what exits when printed": (
        "import os\nclass Odd(Exception):\n    def __str__(self):\n        os._exit(4)\nraise Odd"
    ),
    "raises what is longer than a page": "raise ValueError('x' * 10_000_000)",
    "raises control characters": "raise ValueError('\\x1b[2J\\r\\n\\x07\\x00')",
    "raises a group": "raise BaseExceptionGroup('many', [KeyboardInterrupt()])",
    "raises MemoryError": "raise MemoryError",
    "raises a broken pipe": "raise BrokenPipeError",
    "recurses without end": "def f():\n    return f()\nf()",
    "needs what is missing": "import no_such_thing",
    "is no Python": "def (",
    "is not text": "\x00",
    "exits at once": "import os\nos._exit(0)",
    "exits with a code": "import os\nos._exit(3)",
    "aborts": "import os\nos.abort()",
    "kills itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "terminates its group": "import os, signal\nos.killpg(0, signal.SIGTERM)",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "replaces the process": "import os\nos.execv('/bin/true', ['true'])",
    "never ends": "while True: pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "waits for a lock": "import threading\nl = threading.Lock(); l.acquire(); l.acquire()",
    "waits for a child": "import subprocess\nsubprocess.run(['sleep', '1000'])",
    "ignores signals and sleeps": (
        "import signal, time\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(1000)"
    ),
    "prints without end": "while True: print('x' * 1000)",
    "takes all memory": "kept = [bytearray(1 << 28) for _ in range(1000)]",
    "closes every file": "import os\nos.closerange(0, 1000)",
    "ends when it is asked": HOOK + "def zoo_models():\n    import os\n    os._exit(0)",
    "sleeps when it is asked": HOOK + "def zoo_models():\n    import time\n    time.sleep(1000)",
    "raises when it is asked": HOOK + "def zoo_tasks():\n    raise KeyError('lost')",
    "returns None in a list": returns("models", "[None]"),
    "returns a number": returns("models", "3"),
    "returns names": returns("tasks", "['task']"),
    "returns a list without end": (
        "class Endless(list):\n    def __iter__(self):\n        while True: yield None\n"
        + returns("models", "Endless()")
    ),
    "returns the other kind": returns("tasks", f"[{MODEL}]"),
    "misspells a hook": returns("modles", "[]"),
    "asks for an argument": HOOK + "def zoo_models(registry):\n    return []",
    "has a number as a name": model("name=7"),
    "has None as a name": model("name=None"),
    "has bytes as a name": model("name=b'model'"),
    "has a name with a slash": model("name='a/b'"),
    "has an endless name": model("name='x' * 5_000_000"),
    "has a name whose == raises": (
        STR + "    def __eq__(self, other): raise ValueError\n    __hash__ = str.__hash__\n"
        + model("name=Name('model-{n}')")
    ),
    "has a name whose hash raises": (
        STR + "    def __hash__(self): raise ValueError\n" + model("name=Name('model-{n}')")
    ),
    "has a list as a summary": model("summary=['a', 'model']"),
    "has an object as a summary": model("summary=object()"),
    "has a huge summary": model("summary='x' * 50_000_000"),
    "has a target that is a number": model("target=3"),
    "has causal as text": model("causal='yes'"),
    "has options that are none": model("options=dict"),
    "has 100,000 models": returns(
        "models", f"[{MODEL[:-1].replace('model-{n}', 'x%d')}) for i in range(100_000)]"
    ).replace("'x%d'", "'x%d' % i"),
    "declares a name twice": returns("models", f"[{MODEL}, {MODEL}]"),
    "has a record whose name raises": (
        "import zoo\nclass Odd(zoo.ModelInfo):\n"
        "    def __getattribute__(self, key):\n        raise SystemExit\n"
        + returns("models", f"[{MODEL.replace('zoo.ModelInfo', 'Odd')}]")
    ),
    "has a record that is never equal": (
        "import zoo\nclass Odd(zoo.ModelInfo):\n"
        "    options = property(lambda self: 1 / 0)\n"
        + returns("models", f"[{MODEL.replace('zoo.ModelInfo', 'Odd')}]")
    ),
    "has attributes that raise": (
        "import sys, types\nclass Lazy(types.ModuleType):\n"
        "    def __getattr__(self, key): raise OSError(key)\n"
        "    def __dir__(self): raise OSError('dir')\n"
        "sys.modules[__name__] = Lazy(__name__)"
    ),
    "removes builtins": "import builtins\nbuiltins.print = builtins.len = None\n" + GOOD,
    "removes itself": "import sys\ndel sys.modules[__name__]\nraise ImportError",
    "brings recipes that are no TOML": recipes("path.write_text('[recipes')"),
    "brings recipes of deep nesting": recipes("path.write_text('a = ' + '[' * 100_000)"),
    "brings recipes that are no text": recipes("path.write_bytes(bytes([255, 254, 0]))"),
    "brings recipes that are not there": recipes(""),
    "brings recipes through a pipe": recipes("import os; os.mkfifo(path)"),
    "brings recipes without end": recipes("path.symlink_to('/dev/zero')"),
    "brings a recipe for unknown data": recipes(
        "path.write_text('[recipes.r{n}]\\nsummary = \"\"\\ntask = \"t\"\\nmodel = \"m\"\\n"
        "data = \"none\"')"
    ),
    "names a module that is missing": "",
    "names an attribute that is missing": GOOD,
}  # fmt: skip
# Entry points other than the module itself.
VALUES = {
    "names a module that is missing": "no_such_module_{n}",
    "names an attribute that is missing": "zoo_b{n}:no_such_attribute",
}

# What plugins do that work, to the process that they are imported in.
ROUGH: dict[str, str] = {
    "prints": "print('hello')\n" + GOOD,
    "prints to the file": "import os\nos.write(1, b'hello')\n" + GOOD,
    "prints from a child": "import subprocess\nsubprocess.run(['echo', 'hello'])\n" + GOOD,
    "closes its output": "import os, sys\nsys.stdout.close(); sys.stderr.close()\n" + GOOD,
    "closes the files of its output": "import os\nos.close(1); os.close(2)\n" + GOOD,
    "has no output": "import sys\nsys.stdout = sys.stderr = None\n" + GOOD,
    "fails at exit": "import atexit\natexit.register(lambda: 1 / 0)\n" + GOOD,
    "never exits": (
        "import atexit, time\natexit.register(lambda: time.sleep(1000))\n" + GOOD
    ),
    "exits otherwise": "import atexit, os\natexit.register(lambda: os._exit(5))\n" + GOOD,
    "has a thread that never ends": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n" + GOOD
    ),
    "turns warnings to errors": "import warnings\nwarnings.simplefilter('error')\n" + GOOD,
    "warns": "import warnings\nwarnings.warn('old', DeprecationWarning)\n" + GOOD,
    "empties sys.path": "import sys\nsys.path.clear()\n" + GOOD,
    "shadows modules": (
        "import sys\nfor name in ('json', 'zoo_text', 'zoo_optim', 'click'):\n"
        "    sys.modules[name] = None\n" + GOOD
    ),
    "changes signal handlers": (
        "import signal\nfor s in (2, 15, 14): signal.signal(s, lambda *_: None)\n" + GOOD
    ),
    "sets an alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 30)\n" + GOOD,
    "changes the folder": "import os\nos.chdir('/')\n" + GOOD,
    "changes the environment": "import os\nos.environ.clear()\n" + GOOD,
    "replaces hooks of Python": (
        "import sys\nsys.excepthook = sys.displayhook = None\nsys.setrecursionlimit(200)\n" + GOOD
    ),
    "forks": "import os\nos.fork()\n" + GOOD,
    "leaves a process": (
        "import subprocess\nsubprocess.Popen(['sleep', '30'], start_new_session=True)\n" + GOOD
    ),
    "asks what is installed": "import zoo\nzoo.list_models()\n" + GOOD,
    "registers at import": (
        "import zoo\nzoo.register(zoo.CallbackInfo(name='c{n}', summary='', target=print))\n" + GOOD
    ),
    "has no hooks": "x = 1",
    "has attributes that raise but no hook": (
        "def __getattr__(name):\n    raise ImportError(name)\n" + GOOD
    ),
    "has one summary of lines": model("summary='two\\nlines \\x1b[2J'"),
    "claims the names of zoo": (
        returns(
            "models",
            "[zoo.ModelInfo(name=n, summary='', target='x:Y', causal=True)"
            " for n in ('bilstm', 'birnn')]",
        )
        + "@zoo.hookimpl\ndef zoo_tasks():\n    return [zoo.TaskInfo(name=n, summary='',"
        " target='x:Y', monitor='loss', higher_is_better=False)"
        " for n in ('sentiment', 'text-classification')]\n"
        "@zoo.hookimpl\ndef zoo_optimizers():\n"
        "    return [zoo.OptimizerInfo(name=n, summary='', target='x:Y')"
        " for n in ('adam', 'adamw')]\n"
        "@zoo.hookimpl\ndef zoo_schedulers():\n"
        "    return [zoo.SchedulerInfo(name=n, summary='', target='x:Y')"
        " for n in ('constant', 'one-cycle')]\n"
        "@zoo.hookimpl\ndef zoo_commands():\n"
        "    return [zoo.CommandInfo(name=n, summary='', target='x:Y')"
        " for n in ('diagnose', 'list', 'predict')]\n"
    ),
    "claims the recipes of zoo": recipes(
        "path.write_text('[recipes.sample-lstm]\\nsummary = \"\"\\ntask = \"t\"\\nmodel = \"m\"\\n"
        "[recipes.imdb-bilstm]\\nsummary = \"\"\\ntask = \"t\"\\nmodel = \"m\"\\n'"
        "'[data.imdb]\\nsummary = \"\"\\nurl = \"\"\\nsha256 = \"\"\\nbytes = 1')"
    ),
    "fails in zoo_environment": GOOD + "@zoo.hookimpl\ndef zoo_environment():\n    return 1 / 0\n",
    "exits in zoo_environment": (
        GOOD + "import os\n@zoo.hookimpl\ndef zoo_environment():\n    os._exit(3)\n"
    ),
    "has odd facts": (
        GOOD + "@zoo.hookimpl\ndef zoo_environment():\n    return {1: object(), 'torch': None}\n"
    ),
}  # fmt: skip
# These take as long as they may.
SLOW = {
    "never ends", "sleeps", "waits for a lock", "waits for a child", "ignores signals and sleeps",
    "prints without end", "sleeps when it is asked", "returns a list without end",
    "brings recipes through a pipe", "forks", "takes all memory", "brings recipes without end",
}  # fmt: skip
KINDS = {**FAILING, **ROUGH}
