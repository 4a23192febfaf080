"""The demo: a cloth shop of ordinary gRPC services, shown without the mesh and then with it.

`services/` are the applications and know nothing of a mesh; `mesh.yaml` is the file they run from. The modules beside
it build what needs building, write the file that is really used, read what the mesh measured and say what it shows.
"""
