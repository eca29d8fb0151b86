"""What a program does that was made from GET /schema: asks every question that it can fill in, and holds the answers against
the schema with somebody else's validator. with_schema.py URL TOKEN APP."""
import json
import re
import sys
import urllib.error
import urllib.request

import jsonschema

url, token, app = sys.argv[1:]
PARAMETER = re.compile(r"\{\(%23%2Fdefinitions%2F([a-z-]+)%2Fdefinitions%2Fidentity\)\}")


def get(path):
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3"}
    with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers)) as answer:
        return json.load(answer)


schema = get("/schema")
definitions = schema["definitions"]
known = {"app": app, "account": "~"}
links = [
    (name, link) for name in definitions for link in definitions[name]["links"] if link["method"] == "GET"
]
asked, broken = set(), []
# Lists first: what is in them fills in the other questions.
for name, link in sorted(links, key=lambda link: len(PARAMETER.findall(link[1]["href"]))):
    parameters = PARAMETER.findall(link["href"])
    if not all(parameter in known for parameter in parameters):
        continue
    path = PARAMETER.sub(lambda parameter: known[parameter.group(1)], link["href"])
    try:
        answer = get(path)
    except urllib.error.HTTPError as refusal:
        # Some are found by their name only, and some apps have none.
        if refusal.code != 404:
            broken.append(f"{path}: {refusal.code}")
        continue
    target = {**link["targetSchema"], "definitions": definitions}
    broken += [f"{path}: {error.message}" for error in jsonschema.Draft4Validator(target).iter_errors(answer)]
    asked.add(f"{name} {link['title']}")
    if isinstance(answer, list) and answer and "id" in answer[0]:
        known.setdefault(name, answer[0]["id"])
print(json.dumps({"asked": sorted(asked), "broken": broken}))
