//! What the bodies of requests may hold. A route that is not here takes none.
//!
//! Clients send more than this, which is ignored or refused; what is here is what counts.

pub(in crate::api) const REQUESTS: &[(&str, &str)] = &[
    (
        "PATCH /account",
        "allow_tracking bool?; beta bool?; email str?; name str?; new_password str?; password str?; \
         two_factor_authentication bool?",
    ),
    (
        "PATCH /users/{account}",
        "allow_tracking bool?; beta bool?; email str?; name str?; new_password str?; password str?; \
         two_factor_authentication bool?",
    ),
    (
        "POST /oauth/authorizations",
        "client str?; description str?; expires_in quantity?; scope [str]?",
    ),
    (
        "PATCH /oauth/authorizations/{authorization}",
        "client {id!:uuid, secret!:str}?; description str?",
    ),
    ("POST /account/keys", "public_key! str"),
    ("POST /account/two-factor", "password! str"),
    ("POST /account/two-factor/actions/confirm", "code! str"),
    ("POST /oauth/clients", "name! str; redirect_uri! str"),
    ("PATCH /oauth/clients/{client}", "name str?; redirect_uri str?"),
    ("POST /auth", "description str?"),
    ("POST /disk/actions/prune", "dry_run bool?"),
    ("POST /apps", "name str?; region ref?; stack ref?"),
    ("PATCH /apps/{app}", "build_stack ref?; maintenance bool?; name str?"),
    ("POST /teams", "name! str"),
    ("PATCH /teams/{team}", "default bool?; name str?"),
    ("PUT /teams/{team}/members", "email! str; federated bool?; role! str"),
    ("POST /teams/{team}/members", "email! str; federated bool?; role! str"),
    ("PATCH /teams/{team}/members", "email! str; federated bool?; role! str"),
    (
        "POST /teams/apps",
        "locked bool?; name str?; personal bool?; region ref?; stack ref?; team ref?",
    ),
    ("PATCH /teams/apps/{app}", "locked bool?; owner ref?"),
    (
        "POST /teams/apps/{app}/collaborators",
        "permissions [str]?; silent bool?; user! ref",
    ),
    (
        "POST /apps/{app}/collaborators",
        "permissions [str]?; silent bool?; user! ref",
    ),
    (
        "PATCH /teams/apps/{app}/collaborators/{collaborator}",
        "permissions! [str]",
    ),
    ("POST /account/app-transfers", "app! ref; recipient! ref; silent bool?"),
    ("PATCH /account/app-transfers/{transfer}", "state! str"),
    ("PATCH /apps/{app}/config-vars", "* str?"),
    ("PUT /apps/{app}/buildpack-installations", "updates! [{buildpack:ref}]"),
    (
        "POST /apps/{app}/addons",
        "attachment {name:str?}?; config obj?; confirm str?; name str?; plan! ref",
    ),
    ("PATCH /apps/{app}/addons/{addon}", "name str?; plan ref?"),
    ("DELETE /apps/{app}/addons/{addon}", "force bool"),
    (
        "POST /addons/{addon}/actions/client",
        "arguments [str]; credential str?; env obj?; force_no_tty bool?; program str?",
    ),
    ("POST /addons/{addon}/actions/copy", "source! str"),
    ("PUT /addons/{addon}/exposure", "allow! [str]; until str?"),
    ("POST /addon-providers", "manifest obj?; plans [str]; url str?"),
    ("PUT /addons/{addon}/log-drains/{drain}", "url! uri"),
    ("PATCH /addons/{addon}/config", "config! [{name:str, value:str?}]"),
    ("POST /postgres/v0/databases/{addon}/credentials", "name! str"),
    (
        "POST /postgres/v0/databases/{addon}/credentials/{credential}/credentials_rotation",
        "forced bool?",
    ),
    (
        "POST /postgres/v0/databases/{addon}/credentials_rotation",
        "forced bool?",
    ),
    ("PUT /client/v11/databases/{addon}/reset", "extensions [str]?"),
    ("POST /client/v11/databases/{addon}/upgrade/prepare", "version str?"),
    ("POST /client/v11/databases/{addon}/upgrade/dry_run", "version str?"),
    ("POST /client/v11/databases/{addon}/upgrade/run", "version str?"),
    ("PATCH /postgres/v0/databases/{addon}/config", "* any"),
    ("PATCH /redis/v0/databases/{addon}/config", "* any"),
    ("POST /redis/v0/databases/{addon}/upgrade", "version str?"),
    (
        "POST /actions/addons/resolve",
        "addon! str; addon_service str?; app str?",
    ),
    (
        "POST /addon-attachments",
        "addon! ref; app! ref; confirm str?; name str?; namespace str?",
    ),
    (
        "POST /actions/addon-attachments/resolve",
        "addon_attachment! str; addon_service str?; app str?",
    ),
    (
        "POST /client/v11/databases/{addon}/restores",
        "backup_url! str; extensions [str]?",
    ),
    (
        "POST /client/v11/databases/{addon}/transfers",
        "from_name str?; from_url! str; to_name str?; to_url! str",
    ),
    (
        "POST /client/v11/databases/{addon}/transfer-schedules",
        "hour! quantity; schedule_name str?; timezone str",
    ),
    ("POST /filters/apps", "in! {id!:[uuid]}"),
    ("PATCH /apps/{app}/features/{feature}", "enabled! bool"),
    ("POST /apps/{app}/domains", "hostname! str; sni_endpoint ref?"),
    ("PATCH /apps/{app}/domains/{domain}", "sni_endpoint! ref?"),
    (
        "POST /apps/{app}/sni-endpoints",
        "certificate_chain! str; private_key! str",
    ),
    (
        "PATCH /apps/{app}/sni-endpoints/{endpoint}",
        "certificate_chain! str; private_key! str",
    ),
    ("PATCH /apps/{app}/acm", "acm_refresh! bool"),
    (
        "PATCH /apps/{app}/routing",
        "boot_timeout_seconds int?; hsts_seconds int?; https_redirect bool?; idle_timeout_seconds int?; \
         response_timeout_seconds int?; session_affinity bool?; sleep_after_seconds int?",
    ),
    (
        "PATCH /apps/{app}/formation",
        "updates! [{type!:str, quantity:quantity?, size:ref?, dyno_size:ref?, docker_image:str?}]",
    ),
    (
        "PATCH /apps/{app}/formation/{type}",
        "docker_image str?; quantity quantity?; size ref?; dyno_size ref?; type str?",
    ),
    (
        "POST /apps/{app}/dynos",
        "attach bool?; command! str; env obj?; force_no_tty bool?; size str?; time_to_live int?; type str?",
    ),
    ("PUT /api/v2/{dyno}", "client_key! str"),
    (
        "POST /apps/{app}/webhooks",
        "authorization str?; include! [str]; level! enum(notify/sync); secret str?; url! uri",
    ),
    (
        "PATCH /apps/{app}/webhooks/{webhook}",
        "authorization str?; include [str]?; level enum(notify/sync)?; secret str?; url uri?",
    ),
    (
        "POST /apps/{app}/dynos/{dyno}/actions/exec",
        "command str?; env obj?; force_no_tty bool?",
    ),
    (
        "POST /apps/{app}/log-sessions",
        "dyno str?; dyno_name str?; lines int?; source enum(app/heroku)?; tail bool?; type str?",
    ),
    ("POST /apps/{app}/log-drains", "url! uri"),
    (
        "POST /apps/{app}/images",
        "image! str; process_type str?; registry_password str?; registry_user str?",
    ),
    ("POST /apps/{app}/releases", "description str?; release ref?; slug ref?"),
    (
        "POST /apps/{app}/slugs",
        "buildpack_provided_description str?; checksum str?; commit str?; commit_description str?; process_types! \
         {*:str}; stack ref?",
    ),
    (
        "POST /apps/{app}/builds",
        "buildpacks [ref]?; source_blob! {checksum:str?, url!:str, version:str?, version_description:str?}",
    ),
    (
        "POST /apps/{app}/test-runs",
        "commit_branch! str; commit_message! str; commit_sha! str; source_blob! \
         {checksum:str?, url!:str, version:str?, version_description:str?}",
    ),
    (
        "PATCH /apps/{app}/test-runs/{test_run}",
        "status! enum(pending/building/cancelled/succeeded/failed/errored)",
    ),
    (
        "POST /app-setups",
        "app {name:str?, region:ref?, stack:ref?}; overrides {buildpacks:[ref]?, env:{*:str}}; source_blob! \
         {checksum:str?, url!:str, version:str?, version_description:str?}",
    ),
];
