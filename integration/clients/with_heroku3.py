"""What somebody's script does with heroku3: with_heroku3.py URL TOKEN APP NEW_APP STACK."""
import json
import sys

import heroku3
import heroku3.api

url, token, name, new_name, stack = sys.argv[1:]
heroku3.api.HEROKU_URL = url
heroku = heroku3.from_key(token)

created = heroku.create_app(name=new_name, stack_id_or_name=stack)
app = heroku.apps()[name]
before = app.releases()[-1]
app.config()["CLIENT"] = "heroku3"
release = app.releases()[-1]
web = app.process_formation()["web"].scale(2)
print(
    json.dumps(
        {
            "account": heroku.account().email,
            "created": created.name,
            "config": app.config()["CLIENT"],
            "release": {"version": release.version, "description": release.description},
            "web": web.quantity,
            "domains": [domain.hostname for domain in app.domains()],
            "builds": [build.status for build in app.builds()],
            "log": "Release v" in app.get_log(lines=1500),
        }
    )
)
app.rollback(before.id)
created.delete()
