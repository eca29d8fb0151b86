use paas_core::{AddonFill, AddonState, AttachmentName};

use super::*;
use crate::{
    addon_attachment::{self, NewAttachment},
    addon_credential, app,
    fixture::{World, seconds},
    new_id, release,
};

impl World {
    /// It answers, at this address.
    async fn provisioned(&self, addon: &AddonRow, url: &str) -> Vec<String> {
        let sealer = &self.store().sealer;
        let (config, id) = (values("URL", url), addon.addon.id);
        let mut conn = self.conn().await;
        let credentials = secret(&mut conn, sealer, id).await.unwrap();
        let releases = set_config(&mut conn, sealer, id, (&credentials, &config), seconds(1))
            .await
            .unwrap();
        releases
            .into_iter()
            .map(|release| release.release.description)
            .collect()
    }

    async fn attach(&self, addon: &AddonRow, app: Id<App>, name: &str) -> Result<(), StoreError> {
        let new = NewAttachment {
            addon: addon.addon.id,
            app,
            name: name.parse().unwrap(),
            namespace: None,
        };
        let sealer = &self.store().sealer;
        let made = addon_attachment::create(&mut *self.conn().await, sealer, new, self.stamp()).await;
        made.map(drop)
    }

    async fn config_now(&self, app: Id<App>) -> String {
        let head = release::head(&mut *self.conn().await, app).await.unwrap().unwrap();
        self.config(head.release.id).await
    }

    async fn state(&self, addon: &AddonRow) -> Option<AddonState> {
        let row = by_id(&mut *self.conn().await, addon.addon.id).await.unwrap();
        row.map(|row| row.addon.state)
    }
}

fn values(key: &str, value: &str) -> Values {
    [(key.to_owned(), value.to_owned())].into()
}

#[tokio::test]
async fn apps_get_the_config_vars_of_an_addon_once_it_answers() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    let head = release::head(&mut *world.conn().await, hello).await.unwrap().unwrap();
    assert_eq!(head.release.description, "Attach DATABASE (@ref:pg-1)");
    world.attach(&addon, other, "MAIN").await.unwrap();
    assert_eq!(world.config_now(hello).await, "");
    assert_eq!(world.state(&addon).await, Some(AddonState::Provisioning));
    let mut told = world.provisioned(&addon, "postgres://one").await;
    told.sort();
    assert_eq!(
        told,
        [
            "@ref:pg-1 completed provisioning, setting DATABASE_URL.",
            "@ref:pg-1 completed provisioning, setting MAIN_URL."
        ]
    );
    assert_eq!(world.config_now(hello).await, "DATABASE_URL=postgres://one");
    assert_eq!(world.config_now(other).await, "MAIN_URL=postgres://one");
    assert_eq!(world.state(&addon).await, Some(AddonState::Provisioned));
    let mut conn = world.conn().await;
    let head = release::head(&mut conn, hello).await.unwrap().unwrap();
    assert_eq!(head.addon_plans, ["heroku-postgresql:mini"]);
}

#[tokio::test]
async fn what_failed_before_another_thing_was_wanted_says_nothing_of_that() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    let mut conn = world.conn().await;
    begin_destroy(&mut conn, &world.store().sealer, addon.addon.id, world.stamp())
        .await
        .unwrap();
    let fails = async |conn: &mut PgConnection, row: &AddonRow| {
        set_trouble(conn, row, 9, seconds(60), "no answer").await.unwrap()
    };
    assert!(!fails(&mut conn, &addon).await);
    let going = by_id(&mut conn, addon.addon.id).await.unwrap().unwrap();
    assert_eq!((going.failures, going.retry_at, &going.trouble), (0, None, &None));
    assert!(fails(&mut conn, &going).await);
    let failed = by_id(&mut conn, addon.addon.id).await.unwrap().unwrap();
    assert_eq!((failed.failures, failed.retry_at), (9, Some(seconds(60))));
}

#[tokio::test]
async fn a_rollback_leaves_addons_alone() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    world.deploy(hello, &["web"]).await;
    world.set(hello, &[("A", Some("1"))]).await.unwrap();
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    world.provisioned(&addon, "postgres://one").await;
    let before = world.set(hello, &[("A", Some("2"))]).await.unwrap();
    assert_eq!(world.config(before.release.id).await, "A=2 DATABASE_URL=postgres://one");
    world.provisioned(&addon, "postgres://two").await;
    world.set(hello, &[("A", None)]).await.unwrap();
    let (sealer, to) = (&world.store().sealer, before.release.version);
    let mut conn = world.conn().await;
    release::rollback(&mut conn, sealer, hello, to, world.stamp())
        .await
        .unwrap();
    assert_eq!(world.config_now(hello).await, "A=2 DATABASE_URL=postgres://two");
    begin_destroy(&mut conn, sealer, addon.addon.id, world.stamp())
        .await
        .unwrap();
    assert_eq!(world.config_now(hello).await, "A=2");
    release::rollback(&mut conn, sealer, hello, to, world.stamp())
        .await
        .unwrap();
    assert_eq!(world.config_now(hello).await, "A=2");
}

#[tokio::test]
async fn what_an_addon_sets_is_not_set_by_hand_nor_the_other_way_round() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    let sealer = &world.store().sealer;
    for value in [None, Some("postgres://mine".to_owned())] {
        let changes = vec![("DATABASE_URL".parse().unwrap(), value)];
        let refused = release::set_config(&mut *world.conn().await, sealer, hello, changes, world.stamp()).await;
        assert!(matches!(refused, Err(StoreError::AttachedConfig { keys }) if keys.len() == 1));
    }
    world.set(hello, &[("CACHE_URL", Some("mine"))]).await.unwrap();
    let refused = world.attach(&addon, hello, "CACHE").await;
    assert!(matches!(refused, Err(StoreError::ConfigTaken { key }) if key.as_str() == "CACHE_URL"));
    let refused = world.attach(&addon, hello, "DATABASE").await;
    assert!(matches!(refused, Err(StoreError::AttachmentTaken)));
}

#[tokio::test]
async fn the_app_that_pays_for_an_addon_uses_it() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    world.provisioned(&addon, "postgres://one").await;
    world.attach(&addon, other, "MAIN").await.unwrap();
    let sealer = &world.store().sealer;
    let mut conn = world.conn().await;
    let [own] = &addon_attachment::list_of_app(&mut conn, hello).await.unwrap()[..] else {
        panic!("one attachment");
    };
    let refused = addon_attachment::delete(&mut *world.conn().await, sealer, own.attachment.id, world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::LastAttachment)));
    let [theirs] = &addon_attachment::list_of_app(&mut conn, other).await.unwrap()[..] else {
        panic!("one attachment");
    };
    let detached = addon_attachment::delete(&mut conn, sealer, theirs.attachment.id, world.stamp())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detached.release.description, "Detach MAIN (@ref:pg-1)");
    assert_eq!(world.config_now(other).await, "");
}

#[tokio::test]
async fn an_attachment_takes_the_place_of_another() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let one = world.addon(hello, "pg-1", "DATABASE").await;
    let two = world.addon(hello, "pg-2", "HEROKU_POSTGRESQL_RED").await;
    world.provisioned(&one, "postgres://one").await;
    world.provisioned(&two, "postgres://two").await;
    let name: AttachmentName = "DATABASE".parse().unwrap();
    let promote = || NewAttachment {
        addon: two.addon.id,
        app: hello,
        name: name.clone(),
        namespace: None,
    };
    let sealer = &world.store().sealer;
    let refused = addon_attachment::replace(&mut *world.conn().await, sealer, promote(), world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::LastAttachment)));
    world.attach(&one, hello, "HEROKU_POSTGRESQL_BLUE").await.unwrap();
    addon_attachment::replace(&mut *world.conn().await, sealer, promote(), world.stamp())
        .await
        .unwrap();
    assert_eq!(
        world.config_now(hello).await,
        "DATABASE_URL=postgres://two HEROKU_POSTGRESQL_BLUE_URL=postgres://one HEROKU_POSTGRESQL_RED_URL=postgres://two"
    );
}

#[tokio::test]
async fn addons_go_with_their_app_and_are_taken_from_others() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let (own, used) = (
        world.addon(hello, "pg-1", "DATABASE").await,
        world.addon(other, "pg-2", "DATABASE").await,
    );
    world.provisioned(&own, "postgres://one").await;
    world.provisioned(&used, "postgres://two").await;
    world.attach(&own, other, "THEIRS").await.unwrap();
    world.attach(&used, hello, "THEIRS").await.unwrap();
    let sealer = &world.store().sealer;
    let mut transaction = world.store().begin().await.unwrap();
    let releases = begin_destroy_of_app(&mut transaction, sealer, hello, world.stamp())
        .await
        .unwrap();
    app::begin_destroy(&mut transaction, hello, world.stamp())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(releases.len(), 1);
    assert_eq!(world.config_now(other).await, "DATABASE_URL=postgres://two");
    assert_eq!(world.state(&own).await, Some(AddonState::Deprovisioning));
    assert_eq!(world.state(&used).await, Some(AddonState::Provisioned));
    let mut conn = world.conn().await;
    assert_eq!(find(&mut conn, "pg-1").await.unwrap(), None);
    // The app's row cannot go before.
    assert!(app::delete(&mut conn, hello).await.is_err());
    delete(&mut conn, own.addon.id).await.unwrap();
    app::delete(&mut conn, hello).await.unwrap();
}

#[tokio::test]
async fn a_server_that_learns_nothing_while_it_runs_gets_another_container() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    world.provisioned(&addon, "postgres://one").await;
    let (id, fresh) = (addon.addon.id, values("PASSWORD", "hunter3"));
    let sealer = &world.store().sealer;
    let mut conn = world.conn().await;
    for (learns, generation) in [(Learns::WhileItRuns, 1), (Learns::AtItsStart, 2)] {
        begin_rotation(&mut conn, sealer, id, (&fresh, learns), world.stamp())
            .await
            .unwrap();
        let row = by_id(&mut conn, id).await.unwrap().unwrap();
        assert_eq!((row.is_rotating, row.generation), (true, generation));
    }
    assert_eq!(secret(&mut conn, sealer, id).await.unwrap(), fresh);
    // Its apps keep what the server knows until it knows more.
    assert_eq!(world.config_now(hello).await, "DATABASE_URL=postgres://one");
}

#[tokio::test]
async fn an_app_comes_by_the_credential_that_was_attached_to_it() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    world.provisioned(&addon, "postgres://one").await;
    let (id, sealer) = (addon.addon.id, &world.store().sealer);
    let mut conn = world.conn().await;
    let new = |name: &str| addon_credential::NewCredential {
        id: new_id(seconds(0)),
        addon: id,
        name: name.parse().unwrap(),
        secret: values("PASSWORD", "hunter3"),
    };
    let reader = addon_credential::create(&mut conn, sealer, new("reader"), world.stamp())
        .await
        .unwrap();
    let taken = addon_credential::create(&mut *world.conn().await, sealer, new("reader"), world.stamp()).await;
    assert!(matches!(taken, Err(StoreError::CredentialTaken)));
    assert_eq!(unsettled(&mut conn).await.unwrap(), [id]);
    let attachment = NewAttachment {
        addon: id,
        app: other,
        name: "READS".parse().unwrap(),
        namespace: Some(reader.name.namespace()),
    };
    addon_attachment::create(&mut conn, sealer, attachment, world.stamp())
        .await
        .unwrap();
    // Its server does not know it yet.
    assert_eq!(world.config_now(other).await, "");
    let known = values("PASSWORD", "hunter3");
    let config = values("URL", "postgres://reader");
    let releases = addon_credential::settle(&mut conn, sealer, &reader, (&known, &config), seconds(1))
        .await
        .unwrap();
    assert_eq!(releases.len(), 1);
    assert_eq!(releases[0].release.description, "Update READS_URL (@ref:pg-1)");
    assert_eq!(world.config_now(other).await, "READS_URL=postgres://reader");
    assert_eq!(world.config_now(hello).await, "DATABASE_URL=postgres://one");
    assert!(unsettled(&mut conn).await.unwrap().is_empty());

    // What is new of the add-on's own credential is nothing to those who come by another one.
    assert_eq!(world.provisioned(&addon, "postgres://two").await.len(), 1);
    assert_eq!(world.config_now(other).await, "READS_URL=postgres://reader");
    let fresh = values("PASSWORD", "hunter4");
    addon_credential::rotate(&mut conn, sealer, &reader, &fresh, world.stamp())
        .await
        .unwrap();
    // Whoever told the server of the old password has told it nothing.
    let late = addon_credential::settle(&mut conn, sealer, &reader, (&known, &config), seconds(2)).await;
    assert!(late.unwrap().is_empty());
    assert_eq!(unsettled(&mut conn).await.unwrap(), [id]);

    let used = addon_credential::revoke(&mut *world.conn().await, &reader, world.stamp()).await;
    assert!(matches!(used, Err(StoreError::AttachmentTaken)));
    let uses = addon_attachment::list_of_app(&mut conn, other).await.unwrap();
    addon_attachment::delete(&mut conn, sealer, uses[0].attachment.id, world.stamp())
        .await
        .unwrap();
    addon_credential::revoke(&mut conn, &reader, world.stamp())
        .await
        .unwrap();
    assert_eq!(addon_credential::find(&mut conn, id, "reader").await.unwrap(), None);
    assert_eq!(unsettled(&mut conn).await.unwrap(), [id]);
    addon_credential::delete(&mut conn, reader.id).await.unwrap();
    assert!(addon_credential::list(&mut conn, id).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_chosen_stays_until_the_server_has_it() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let id = world.addon(hello, "redis-1", "REDIS").await.addon.id;
    let mut conn = world.conn().await;
    assert!(settings(&mut conn, id).await.unwrap().is_empty());
    let first = choose(&mut conn, id, &values("timeout", "60"), world.stamp())
        .await
        .unwrap();
    let both = choose(&mut conn, id, &values("policy", "lru"), world.stamp())
        .await
        .unwrap();
    assert_eq!(both.len(), 2);
    // Something else was chosen meanwhile.
    mark_configured(&mut conn, id, &first).await.unwrap();
    assert_eq!(unsettled(&mut conn).await.unwrap(), [id]);
    mark_configured(&mut conn, id, &both).await.unwrap();
    assert!(unsettled(&mut conn).await.unwrap().is_empty());
    assert_eq!(settings(&mut conn, id).await.unwrap(), both);
}

#[tokio::test]
async fn a_disk_that_fills_up_is_told_of_once_for_each_mark() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let id = world.addon(hello, "pg-1", "DATABASE").await.addon.id;
    let mut conn = world.conn().await;
    assert_eq!(disk_bytes(&mut conn, id).await.unwrap(), None);
    let mut told = Vec::new();
    for used_bytes in [100, 810, 820, 970, 100] {
        let plan_bytes = 1000;
        let fill = AddonFill { used_bytes, plan_bytes };
        told.push(set_disk_bytes(&mut conn, id, fill, seconds(1)).await.unwrap());
        assert_eq!(disk_bytes(&mut conn, id).await.unwrap(), Some(used_bytes));
    }
    assert_eq!(told, [None, Some(80), None, Some(95), None]);
    let marks = "select count(*) from events where payload ? 'disk_percent'";
    let events: i64 = sqlx::query_scalar(marks).fetch_one(&mut *conn).await.unwrap();
    assert_eq!(events, 2);
}

#[tokio::test]
async fn one_server_works_on_an_addon_at_a_time() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let addon = world.addon(hello, "pg-1", "DATABASE").await.addon.id;
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut conn = world.conn().await;
    let mut taken = async |server, at| {
        lease(&mut conn, addon, server, seconds(at + 60), seconds(at))
            .await
            .unwrap()
    };
    assert!(taken(one, 0).await);
    assert!(!taken(two, 1).await);
    assert!(taken(one, 2).await);
    assert!(taken(two, 63).await);
}

#[tokio::test]
async fn neither_credentials_nor_values_are_in_the_clear() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let addon = world.addon(hello, "pg-1", "DATABASE").await;
    world.provisioned(&addon, "postgres://canary").await;
    let mut conn = world.conn().await;
    let kept = sqlx::query_scalar::<_, Vec<u8>>("select secret || config from addons")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let kept = String::from_utf8_lossy(&kept);
    assert!(!kept.contains("hunter2") && !kept.contains("canary"));
    let sealer = &world.store().sealer;
    assert_eq!(
        secret(&mut conn, sealer, addon.addon.id).await.unwrap()["PASSWORD"],
        "hunter2"
    );
}
