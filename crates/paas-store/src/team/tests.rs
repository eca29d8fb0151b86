use paas_core::Permissions;

use super::*;
use crate::{app, collaborator, fixture::World, testing::noon, two_factor};

fn name(text: &str) -> TeamName {
    text.parse().unwrap()
}

/// `create team`, `update team-member`: what was recorded, oldest first.
async fn events(conn: &mut PgConnection) -> Vec<String> {
    let rows = sqlx::query_scalar::<_, String>(
        "select action || ' ' || resource from events where resource in ('team', 'team-member') order by sequence",
    );
    rows.fetch_all(conn).await.unwrap()
}

#[tokio::test]
async fn a_team_is_made_by_its_first_admin() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let team = create(&mut conn, &name("acme"), world.stamp()).await.unwrap();
    let taken = create(&mut conn, &name("acme"), world.stamp()).await;
    assert!(matches!(taken, Err(StoreError::NameTaken)));
    assert_eq!(list(&mut conn, world.ann).await.unwrap(), [(team.clone(), Role::Admin)]);
    assert_eq!(find(&mut conn, "acme").await.unwrap(), Some(team.clone()));
    assert_eq!(find(&mut conn, &team.id.to_string()).await.unwrap(), Some(team.clone()));
    let renamed = rename(&mut conn, team.id, &name("widgets"), world.stamp())
        .await
        .unwrap();
    assert_eq!(renamed.unwrap().name, name("widgets"));
    assert!(delete(&mut conn, team.id, world.stamp()).await.unwrap());
    assert!(!delete(&mut conn, team.id, world.stamp()).await.unwrap());
    assert_eq!(
        events(&mut conn).await,
        ["create team", "create team-member", "update team", "destroy team"]
    );
}

#[tokio::test]
async fn the_last_admin_of_a_team_stays_however_two_of_them_leave() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let team = create(&mut conn, &name("acme"), world.stamp()).await.unwrap().id;
    let bob = world.database.account("bob").await;
    let stamp = world.stamp();
    let alone = team_member::put(&mut conn, team, world.ann, Role::Member, stamp).await;
    assert!(matches!(alone, Err(StoreError::LastAdmin)));
    let alone = team_member::remove(&mut conn, team, world.ann, stamp).await;
    assert!(matches!(alone, Err(StoreError::LastAdmin)));
    assert_eq!(role(&mut conn, team, world.ann).await.unwrap(), Some(Role::Admin));

    team_member::put(&mut conn, team, bob, Role::Admin, stamp)
        .await
        .unwrap();
    let (mut one, mut other) = (world.conn().await, world.conn().await);
    let (one, other) = tokio::join!(
        team_member::remove(&mut one, team, world.ann, stamp),
        team_member::remove(&mut other, team, bob, stamp),
    );
    assert_ne!(one.is_ok(), other.is_ok(), "{one:?} {other:?}");
    assert_eq!(team_member::list(&mut conn, team).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_team_keeps_while_it_owns_apps_and_removal_takes_collaborations_away() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let team = create(&mut conn, &name("acme"), world.stamp()).await.unwrap();
    let app = world.app("hello").await;
    app::give_to_team(&mut conn, app, &team, world.stamp()).await.unwrap();
    let owned = delete(&mut conn, team.id, world.stamp()).await;
    assert!(matches!(owned, Err(StoreError::TeamHasApps)));

    let bob = world.database.account("bob").await;
    assert_eq!(role(&mut conn, team.id, bob).await.unwrap(), None);
    collaborator::create(&mut conn, app, bob, Permissions::VIEW, world.stamp())
        .await
        .unwrap();
    assert_eq!(role(&mut conn, team.id, bob).await.unwrap(), Some(Role::Collaborator));
    let members = team_member::list(&mut conn, team.id).await.unwrap();
    let roles: Vec<_> = members
        .iter()
        .map(|member| (member.user.email.as_str(), member.role))
        .collect();
    assert_eq!(
        roles,
        [
            ("ann@example.com", Role::Admin),
            ("bob@example.com", Role::Collaborator)
        ]
    );

    team_member::put(&mut conn, team.id, bob, Role::Member, world.stamp())
        .await
        .unwrap();
    assert_eq!(team_member::list(&mut conn, team.id).await.unwrap().len(), 2);
    let apps = team_member::remove(&mut conn, team.id, bob, world.stamp())
        .await
        .unwrap();
    assert_eq!(apps, Some(vec![app]));
    assert!(
        collaborator::find(&mut conn, app, "bob@example.com")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        team_member::remove(&mut conn, team.id, bob, world.stamp())
            .await
            .unwrap(),
        None
    );
    assert_eq!(noon(), world.stamp().at);
}

#[tokio::test]
async fn only_admins_and_members_bring_apps_into_a_team() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let team = create(&mut conn, &name("acme"), world.stamp()).await.unwrap();
    let bob = world.database.account("bob").await;
    let by_bob = Stamp {
        by: bob,
        ..world.stamp()
    };
    let of = app::OfTeam {
        team: &team,
        is_locked: true,
    };
    let new = || app::NewApp {
        id: new_id(noon()),
        name: "ours".parse().unwrap(),
        stack: "paas-12".to_owned(),
    };
    let sealer = &world.store().sealer;
    let refused = app::create_of_team(&mut conn, sealer, new(), of, by_bob).await;
    assert!(matches!(refused, Err(StoreError::NotInTeam)), "{refused:?}");
    assert!(app::find(&mut conn, "ours").await.unwrap().is_none());

    team_member::put(&mut conn, team.id, bob, Role::Member, world.stamp())
        .await
        .unwrap();
    let made = app::create_of_team(&mut conn, sealer, new(), of, by_bob).await.unwrap();
    assert!(made.locked);
    assert_eq!(made.owner.team().map(|owner| owner.id), Some(team.id));
    assert!(
        collaborator::find(&mut conn, made.app.id, "bob@example.com")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_team_sees_who_has_a_second_factor() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let team = create(&mut conn, &name("acme"), world.stamp()).await.unwrap();
    two_factor::begin(&mut conn, &world.store().sealer, world.ann, b"secret", noon())
        .await
        .unwrap();
    for expected in [false, true] {
        let members = team_member::list(&mut conn, team.id).await.unwrap();
        assert_eq!(members[0].two_factor, expected);
        two_factor::confirm(&mut conn, world.ann, noon()).await.unwrap();
    }
}
