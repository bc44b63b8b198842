"""The worker: reads calls on standard input, makes them, and answers on what was standard output.

Started by its path. Python then puts this folder first on the module path, where files named after frameworks could
shadow them; so the folder is taken off again and the package is loaded under a name of its own.
"""

import importlib.util
import os
import sys

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.curdir) != here]
    spec = importlib.util.spec_from_file_location(
        "bncheck_worker", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["bncheck_worker"] = package
    spec.loader.exec_module(package)
    from bncheck_worker import serve

    serve.main()
