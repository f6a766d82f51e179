wrk.method = "POST"
wrk.body = '{"id":12345}'
wrk.headers["content-type"] = "application/json"
