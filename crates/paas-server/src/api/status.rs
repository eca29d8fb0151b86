//! What `heroku status` reads: whoever gets this answer has reached a platform that works.

use axum::Json;
use serde_json::{Value, json};

pub(super) async fn current() -> Json<Value> {
    let systems = ["Apps", "Data", "Tools"].map(|system| json!({ "status": "green", "system": system }));
    Json(json!({ "incidents": [], "scheduled": [], "status": systems }))
}
