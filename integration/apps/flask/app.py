from flask import Flask, url_for

app = Flask(__name__)


@app.get("/")
def hello():
    return f"Hello from Flask at {url_for('hello', _external=True)}\n"
