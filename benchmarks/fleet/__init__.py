"""Three servers behind HAProxy: ``python -m benchmarks.fleet`` measures balance, kills, rolling restarts and cost.

``machines`` starts servers and HAProxy, ``side`` is the process of one server on the fake engine, ``load`` the callers,
``takes`` single clips in pairs.
``balance``, ``kills``, ``rolling`` and ``cost`` each hold one measurement and return its figures.
"""
