from fastapi import BackgroundTasks, FastAPI

from scenarios import Ran, scenarios

app = FastAPI()


def serve(name, tasks, finish):
    @app.post("/" + name)
    async def handler(body: dict, background_tasks: BackgroundTasks):
        for task in tasks:
            background_tasks.add_task(task)
        return await finish()


for name, (tasks, finish) in scenarios.items():
    serve(name, tasks, finish)


@app.get("/ran")
async def ran():
    return {"tasks": Ran.tasks}
