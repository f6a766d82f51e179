from starlette.applications import Starlette
from starlette.background import BackgroundTasks
from starlette.responses import JSONResponse
from starlette.routing import Route

from scenarios import Ran, scenarios


def serve(name, tasks, finish):
    async def handler(request):
        await request.json()
        background = BackgroundTasks()
        for task in tasks:
            background.add_task(task)
        return JSONResponse(await finish(), background=background)

    return Route("/" + name, handler, methods=["POST"])


async def ran(request):
    return JSONResponse({"tasks": Ran.tasks})


routes = [serve(name, tasks, finish) for name, (tasks, finish) in scenarios.items()]
app = Starlette(routes=[*routes, Route("/ran", ran)])
