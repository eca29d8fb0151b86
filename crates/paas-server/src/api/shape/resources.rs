//! The things of the API, after the published schema of Heroku's: fields that it has are here, with its kinds, whether or not
//! this platform ever has a value for them.

use super::Resource;

pub(in crate::api) const RESOURCES: &[Resource] = &[
    Resource {
        name: "account",
        description: "Whoever a token acts for.",
        fields: "allow_tracking bool; beta bool; created_at time; email email; federated bool; id uuid; identity_provider \
                 {id:uuid, name:str, team:{name:str}, organization:{name:str}, owner:{id:uuid, name:str, \
                 type:enum(team/enterprise-account)}}?; last_login time?; name str?; sms_number str?; suspended_at time?; \
                 delinquent_at time?; two_factor_authentication bool; updated_at time; verified bool; \
                 country_of_residence str?; default_organization {id:uuid, name:str}?; default_team {id:uuid, name:str}?; \
                 eco_dynos_enabled bool; eco_dynos_shutdown_at time?; pipeline_cost_consent_at time?; acknowledged_msa \
                 bool; acknowledged_msa_at time?; italian_customer_terms str?; italian_partner_terms str?; mfa_enabled \
                 bool; mfa_exemption bool; mfa_exemption_reason str?; mfa_experience enum(vaas/legacy)",
    },
    Resource {
        name: "app",
        description: "A program that runs here.",
        fields: "acm bool; archived_at time?; buildpack_provided_description str?; build_stack {id:uuid, name:str}; \
                 created_at time; generation {id:uuid, name:str}; git_url str; id uuid; internal_routing bool?; \
                 maintenance bool; name str; owner {email:email, id:uuid}; organization {id:uuid, name:str}?; team \
                 {id:uuid, name:str}?; region {id:uuid, name:str}; released_at time?; repo_size int?; slug_size int?; \
                 space {id:uuid, name:str, shield:bool}?; stack {id:uuid, name:str}; updated_at time; web_url uri?; \
                 base_image_name str?; buildpacks [{id:str, version:str, homepage:str}]?; current_build_architecture \
                 [str]",
    },
    Resource {
        name: "add-on",
        description: "A server that apps use.",
        fields: "actions [any]; addon_service {cli_plugin_name:str?, created_at:time, human_name:str, id:uuid, \
                 name:str, state:str, supported_generations:[{id:uuid, name:str}], \
                 supports_multiple_installations:bool, supports_sharing:bool, updated_at:time}; app {id:uuid, \
                 name:str}; billed_price {cents:int, contract:bool, unit:str}?; billing_entity {id:uuid, name:str, \
                 type:enum(app/team)}; config_vars [str]; created_at time; id uuid; name str; plan \
                 {addon_service:{id:uuid, name:str}, compliance:[str]?, created_at:time, default:bool, \
                 description:str, human_name:str, id:uuid, installable_inside_private_network:bool, \
                 installable_outside_private_network:bool, name:str, price:{cents:int, contract:bool, unit:str}, \
                 space_default:bool, state:str, updated_at:time, visible:bool}; provider_id str; provision_message \
                 str?; state enum(provisioning/provisioned/deprovisioned); updated_at time; web_url uri?",
    },
    Resource {
        name: "add-on-attachment",
        description: "The use that an app makes of an add-on.",
        fields: "addon {app:{id:uuid, name:str}, id:uuid, name:str, plan:{id:uuid, name:str}}; app {id:uuid, \
                 name:str}; config_vars [str]; created_at time; id uuid; log_input_url str?; name str; namespace \
                 str?; updated_at time; web_url uri?",
    },
    Resource {
        name: "add-on-service",
        description: "What add-ons there are.",
        fields: "cli_plugin_name str?; created_at time; human_name str; id uuid; name str; state str; \
                 supported_generations [{id:uuid, name:str}]; supports_multiple_installations bool; supports_sharing \
                 bool; updated_at time",
    },
    Resource {
        name: "plan",
        description: "How large an add-on is.",
        fields: "addon_service {id:uuid, name:str}; compliance [str]?; created_at time; default bool; description \
                 str; human_name str; id uuid; installable_inside_private_network bool; \
                 installable_outside_private_network bool; name str; price {cents:int, contract:bool, unit:str}; \
                 space_default bool; state str; updated_at time; visible bool",
    },
    Resource {
        name: "build",
        description: "One attempt to turn a source into a slug.",
        fields: "app {id:uuid}; buildpacks [{url:str, name:str}]?; created_at time; generation str; id uuid; \
                 output_stream_url str; source_blob {checksum:str?, url:str, version:str?, version_description:str?}; \
                 release {id:uuid}?; slug {id:uuid}?; stack str; status enum(failed/pending/succeeded); updated_at time; \
                 user {id:uuid, email:email}; labs obj",
    },
    Resource {
        name: "release",
        description: "Code and config vars, numbered for each app.",
        fields: "addon_plan_names [str]; artifacts [{type:str, id:uuid}]; app {name:str, id:uuid}; created_at time; \
                 description str; id uuid; updated_at time; slug {id:uuid}?; status \
                 enum(failed/pending/succeeded/expired); user {id:uuid, email:email}; version int; current bool; \
                 output_stream_url str?; eligible_for_rollback bool; oci_image {id:uuid}?",
    },
    Resource {
        name: "slug",
        description: "What a build made, or somebody uploaded.",
        fields: "blob {method:str, url:str}; buildpack_provided_description str?; checksum str?; commit str?; \
                 commit_description str?; created_at time; id uuid; process_types obj; size int?; stack {id:uuid, \
                 name:str}; updated_at time; deleted_at time?",
    },
    Resource {
        name: "app-setup",
        description: "An app made of a source with an app.json.",
        fields: "id uuid; created_at time; updated_at time; status enum(failed/pending/succeeded); failure_message str?; \
                 app {id:uuid, name:str}; build {id:uuid, status:enum(failed/pending/succeeded), output_stream_url:str}?; \
                 manifest_errors [str]; postdeploy {output:str, exit_code:int}?; resolved_success_url str?",
    },
    Resource {
        name: "build-result",
        description: "How a build ended, and what it said.",
        fields: "build {id:uuid, output_stream_url:str, status:enum(failed/succeeded)}; exit_code int; lines [{line:str, \
                 stream:str}]",
    },
    Resource {
        name: "test-run",
        description: "A run of an app's tests; nothing is released.",
        fields: "actor_email email; app {id:uuid}; commit_branch str; commit_message str; commit_sha str; created_at time; \
                 id uuid; message str?; number int; status enum(pending/building/cancelled/succeeded/failed/errored); \
                 updated_at time; user {email:email, id:uuid}",
    },
    Resource {
        name: "test-node",
        description: "The container of a test run.",
        fields: "created_at time; error_status str?; exit_code int?; id uuid; index int; message str?; output_stream_url \
                 str; setup_stream_url str; status enum(pending/building/cancelled/succeeded/failed/errored); test_run \
                 {id:uuid}; updated_at time",
    },
    Resource {
        name: "registry-buildpack",
        description: "A buildpack that comes with the platform.",
        fields: "blob_url str; category str; created_at time; description str; id uuid; logo str?; name str; namespace \
                 str; source {type:str}; support {address:str, method:str}; two_factor_authentication bool; updated_at \
                 time",
    },
    Resource {
        name: "source",
        description: "A place to put a source before it is built.",
        fields: "source_blob {get_url:str, put_url:str}",
    },
    Resource {
        name: "collaborator",
        description: "Somebody who may work on an app.",
        fields: "app {name:str, id:uuid}; created_at time; id uuid; permissions [{name:str, description:str}]; role \
                 enum(admin/collaborator/member/owner)?; updated_at time; user {email:email, federated:bool, id:uuid}",
    },
    Resource {
        name: "disk",
        description: "What takes room on the platform's disks.",
        fields: "accounts [{bytes:int, name:str, prunable_bytes:int}]; apps [{app:{id:uuid, name:str}, \
                 build_output_bytes:int, cache_bytes:int, container_bytes:int, image_bytes:int, image_copy_bytes:int, \
                 log_bytes:int, repository_bytes:int, total_bytes:int}]; file_systems [{free_bytes:int, holds:[str], \
                 path:str, size_bytes:int, used_bytes:int, used_percent:int}]; limit_percent int; measured_at time",
    },
    Resource {
        name: "disk-prune",
        description: "What nobody needed on the platform's disks.",
        fields: "dry_run bool; items [{app:{id:uuid, name:str}?, bytes:int, kind:str, name:str}]; pruned_bytes int",
    },
    Resource {
        name: "domain",
        description: "A hostname that an app answers to.",
        fields: "acm_status str?; acm_status_reason str?; addresses [str]; app {name:str, id:uuid}; cname str?; \
                 created_at time; hostname str; id uuid; kind enum(heroku/custom); updated_at time; status str; \
                 sni_endpoint {name:str, id:uuid}?",
    },
    Resource {
        name: "dyno",
        description: "A running process of an app.",
        fields: "attach_url str?; command str; created_at time; id uuid; name str; release {id:uuid, version:int}; app \
                 {name:str, id:uuid}; size str; state str; type str; updated_at time",
    },
    Resource {
        name: "dyno-size",
        description: "What a dyno may use.",
        fields: "architecture str; compute int; cost obj?; dedicated bool; precise_dyno_units num; generation {id:uuid, \
                 name:str}; id uuid; memory num; name str; private_space_only bool; can_autoscale bool; \
                 infrastructure_tier str; product_dyno_tier str",
    },
    Resource {
        name: "formation",
        description: "How many dynos of a process type, and how large.",
        fields: "app {name:str, id:uuid}; command str; created_at time; dyno_size {id:uuid, name:str}; id uuid; quantity \
                 int; size str; type str; updated_at time",
    },
    Resource {
        name: "log-drain",
        description: "Where else the log of an app goes.",
        fields: "addon {id:uuid, name:str, app:{id:uuid, name:str}}?; app {id:uuid, name:str}?; created_at time; ~extended {drain_id:uuid}; \
                 id uuid; token str; updated_at time; url str",
    },
    Resource {
        name: "log-session",
        description: "An address that the log of an app is read from.",
        fields: "created_at time; id uuid; logplex_url str; updated_at time",
    },
    Resource {
        name: "oauth-authorization",
        description: "A token, and what it is for.",
        fields: "access_token {expires_in:int?, id:uuid, token:str}?; client {id:uuid, name:str, redirect_uri:str}?; \
                 created_at time; description str; grant {code:str, expires_in:int, id:uuid}?; id uuid; refresh_token \
                 {expires_in:int?, id:uuid, token:str}?; scope [str]; session {id:uuid}?; updated_at time; user {id:uuid, \
                 email:email, full_name:str?}",
    },
    Resource {
        name: "oauth-client",
        description: "A program that acts for people.",
        fields: "created_at time; id uuid; ignores_delinquent bool?; name str; redirect_uri str; secret str; updated_at \
                 time",
    },
    Resource {
        name: "session",
        description: "What a login in a browser made.",
        fields: "created_at time; description str; expires_in int?; id uuid; updated_at time",
    },
    Resource {
        name: "key",
        description: "A public SSH key.",
        fields: "comment str; created_at time; email str; fingerprint str; id uuid; public_key str; updated_at time",
    },
    Resource {
        name: "rate-limit",
        description: "How many requests are left.",
        fields: "remaining int",
    },
    Resource {
        name: "region",
        description: "Where apps run.",
        fields: "country str; created_at time; description str; id uuid; locale str; name str; private_capable bool; \
                 provider {name:str, \
                 region:enum(ap-south-1/eu-west-1/ap-southeast-1/ap-southeast-2/eu-central-1/eu-west-2/ap-northeast-2/ap-northeast-1/us-east-1/sa-east-1/us-west-1/us-west-2/ca-central-1)}; \
                 updated_at time",
    },
    Resource {
        name: "stack",
        description: "What apps are built and run on.",
        fields: "default bool; created_at time; id uuid; name str; state str; updated_at time",
    },
    Resource {
        name: "buildpack-installation",
        description: "A buildpack that builds an app.",
        fields: "ordinal int; buildpack {url:str, name:str}",
    },
    Resource {
        name: "sni-endpoint",
        description: "A certificate of an app.",
        fields: "certificate_chain str; created_at time; id uuid; name str; updated_at time; display_name str?; domains \
                 [uuid]; app {id:uuid, name:str}; ssl_cert {acm:bool, ca_signed?:bool, cert_domains:[str], \
                 expires_at:time, issuer:str, self_signed?:bool, starts_at:time, subject:str, id:uuid}",
    },
    Resource {
        name: "app-feature",
        description: "A switch of an app.",
        fields: "created_at time; description str; doc_url str; enabled bool; id uuid; name str; state str; updated_at \
                 time; display_name str; feedback_email str",
    },
    Resource {
        name: "acm",
        description: "How the managed certificate of one hostname is doing.",
        fields: "attempts int; expires_at time?; hostname str; last_try_at time?; next_try_at time?; reason str?; status \
                 str?",
    },
    Resource {
        name: "routing",
        description: "How the requests of an app are treated.",
        fields: "app {id:uuid, name:str}; boot_timeout_seconds int?; hsts_seconds int?; https_redirect bool; \
                 idle_timeout_seconds int?; response_timeout_seconds int?; session_affinity bool; sleep_after_seconds \
                 int?",
    },
    Resource {
        name: "team",
        description: "People who own apps together.",
        fields: "id uuid; created_at time; credit_card_collections bool; default bool; enterprise_account {id:uuid, \
                 name:str}?; identity_provider {id:uuid, name:str, owner:{id:uuid, name:str, \
                 type:enum(team/enterprise-account)}}?; membership_limit num?; name str; provisioned_licenses bool; role \
                 enum(admin/collaborator/member/owner/viewer)?; type enum(enterprise/team); updated_at time; \
                 pipeline_cost_consent_at time?; pipeline_cost_consent_user_email str?",
    },
    Resource {
        name: "team-app",
        description: "An app, seen from the team that owns it.",
        fields: "archived_at time?; buildpack_provided_description str?; build_stack {id:uuid, name:str}; created_at \
                 time; git_url str; id uuid; internal_routing bool?; joined bool; locked bool; maintenance bool; name \
                 str; team {name:str}?; owner {email:email, id:uuid}?; region {id:uuid, name:str}; released_at time?; \
                 repo_size int?; slug_size int?; space {id:uuid, name:str}?; stack {id:uuid, name:str}; updated_at time; \
                 web_url uri?; base_image_name str?; buildpacks [{id:str, version:str, homepage:str}]?; \
                 current_build_architecture [str]; generation str",
    },
    Resource {
        name: "team-member",
        description: "Who is in a team.",
        fields: "created_at time; email str; federated bool; id uuid; identity_provider {id:uuid, name:str, \
                 redacted:bool, owner:{id:uuid, name:str, type:enum(team/enterprise-account)}}?; role \
                 enum(admin/collaborator/member/owner/viewer)?; two_factor_authentication bool; updated_at time; user \
                 {email:email, id:uuid, name:str?}",
    },
    Resource {
        name: "team-feature",
        description: "What the apps of a team can do.",
        fields: "created_at time; description str; doc_url str; enabled bool; id uuid; name str; state str; updated_at \
                 time; display_name str; feedback_email str",
    },
    Resource {
        name: "app-transfer",
        description: "An offer of an app from one person to another.",
        fields: "app {name:str, id:uuid}; created_at time; id uuid; owner {email:email, id:uuid}; recipient {email:email, \
                 id:uuid}; state enum(pending/accepted/declined); updated_at time",
    },
    Resource {
        name: "permission",
        description: "What somebody may do with an app.",
        fields: "name str; description str",
    },
    Resource {
        name: "config-var",
        description: "All config vars of an app or a release.",
        fields: "* str",
    },
    Resource {
        name: "add-on-credential",
        description: "A user of an add-on's server.",
        fields: "credentials [{password:str, state:str, user:str}]; database str; host str; name str; port int; state str; \
                 uuid uuid",
    },
    Resource {
        name: "add-on-config",
        description: "A config var of an attachment by what it ends in.",
        fields: "name str; value str?",
    },
    Resource {
        name: "add-on-exposure",
        description: "An add-on that addresses outside may come to.",
        fields: "addon {id:uuid, name:str}; allow [str]; app {id:uuid, name:str}; created_at time; expires_at time; host str; \
                 port int; updated_at time; url str?",
    },
    Resource {
        name: "add-on-provider",
        description: "Who runs add-ons elsewhere, behind the Add-on Partner API.",
        fields: "base_url str; client_secret str?; config_vars [str]; human_name str; id uuid; name str; plans [str]; sso_url str?",
    },
    Resource {
        name: "add-on-sso",
        description: "What a browser sends to the page that a provider has for an add-on.",
        fields: "action str; method str; params {*:str}",
    },
    Resource {
        name: "data-store",
        description: "What an add-on says of itself.",
        fields: "addon_id uuid; created_at time; info [{name:str, values:[str]}]; name str; plan str; resource_url str?",
    },
    Resource {
        name: "data-store-wait",
        description: "Whether an add-on can be used yet.",
        fields: "message str; * any",
    },
    Resource {
        name: "data-store-config",
        description: "What people choose of how the server of an add-on runs.",
        fields: "* {default:any, value:any, values:obj}",
    },
    Resource {
        name: "data-store-word",
        description: "What has happened, in words.",
        fields: "message str",
    },
    Resource {
        name: "transfer",
        description: "A backup of an add-on, or one that is put back.",
        fields: "addon_id uuid; bucket {message:str?, stored_at:time?}?; canceled_at time?; created_at time; finished_at time?; \
                 from_name str; from_type str; kind enum(manual/scheduled/before restore/last/restore/copy); logs [{created_at:time, message:str}]; name str; num \
                 int; processed_bytes int; proof {created_at:time, message:str, succeeded:bool}?; schedule {uuid:uuid}?; \
                 source_bytes int; started_at time?; succeeded bool?; to_name str; to_type str; to_url str?; updated_at time; uuid uuid; \
                 warnings int",
    },
    Resource {
        name: "transfer-schedule",
        description: "When an add-on is backed up each day.",
        fields: "hour int; minute int; name str; timezone str; uuid uuid",
    },
    Resource {
        name: "public-url",
        description: "An address that is its own permission, for a while.",
        fields: "expires_at time; url str",
    },
    Resource {
        name: "database",
        description: "What is to be known of a database.",
        fields: "addon str; info [{name:str, values:[str]}]; name str; plan str",
    },
    Resource {
        name: "rendezvous",
        description: "Where a stream to or beside a dyno is waiting.",
        fields: "name str; attach_path str",
    },
    Resource {
        name: "login",
        description: "A login that a browser finishes for a command.",
        fields: "browser_url str; cli_url str; token str",
    },
    Resource {
        name: "two-factor",
        description: "What an authenticator app is told, once.",
        fields: "otpauth_url str; secret str",
    },
    Resource {
        name: "buildpack-revision",
        description: "A version of a buildpack.",
        fields: "created_at time; id uuid; license str; published_by_email str; release int; status str; updated_at \
                 time",
    },
    Resource {
        name: "buildpack-readme",
        description: "What a buildpack says of itself.",
        fields: "content str; encoding str",
    },
    Resource {
        name: "status",
        description: "How the platform is doing.",
        fields: "incidents [any]; scheduled [any]; status [{system:str, status:enum(green/yellow/red)}]",
    },
    Resource {
        name: "webhook",
        description: "Who is told of what happens to an app.",
        fields: "app {id:uuid, name:str}; created_at time; id uuid; include [str]; level enum(notify/sync); updated_at \
                 time; url uri",
    },
    Resource {
        name: "webhook-delivery",
        description: "One webhook being told of one event.",
        fields: "created_at time; event {id:uuid, include:str}; id uuid; last_attempt {id:uuid, code:int?, \
                 error_class:str?, status:enum(scheduled/succeeded/failed), created_at:time, updated_at:time}?; \
                 next_attempt_at time?; num_attempts int; status enum(pending/scheduled/retrying/failed/succeeded); \
                 updated_at time; webhook {id:uuid, level:enum(notify/sync)}",
    },
    Resource {
        name: "webhook-event",
        description: "A change that webhooks were told of.",
        fields: "created_at time; id uuid; include str; payload {action:str, actor:{email:email, id:uuid}, data:obj, \
                 previous_data:obj, published_at:time, resource:str, version:str}; updated_at time",
    },
    Resource {
        name: "oauth-token",
        description: "A token of a program, for what somebody allowed it.",
        fields: "access_token str; expires_in int; refresh_token str; scope str; session_nonce str?; token_type str; \
                 user_id uuid",
    },
    Resource {
        name: "exec-dyno",
        description: "A dyno that somebody can come to by SSH.",
        fields: "dyno_name str",
    },
    Resource {
        name: "exec-reservation",
        description: "Where and as whom somebody with a key comes to a dyno.",
        fields: "tunnel_host str; client_user str; proxy_public_key str; dyno_ip str",
    },
    Resource {
        name: "error",
        description: "Any answer that is not a success.",
        fields: "id str; message str; ~error str; ~error_description str; ~resource str; ~url uri",
    },
];
