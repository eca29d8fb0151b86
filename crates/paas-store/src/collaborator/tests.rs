use paas_core::Role;

use super::*;
use crate::{
    app,
    app_transfer::{self, TransferState},
    fixture::World,
    team, team_member,
    testing::noon,
};

const DEPLOY: Permissions = Permissions::VIEW.with(Permissions::DEPLOY);

/// An app of Ann's, an app of her team, one that is locked, and somebody of every kind.
struct Company {
    world: World,
    apps: [Id<App>; 3],
    people: Vec<Id<Account>>,
}

async fn company() -> Company {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let name = "acme".parse().unwrap();
    let team = team::create(&mut conn, &name, world.stamp()).await.unwrap();
    let apps = [
        world.app("mine").await,
        world.app("ours").await,
        world.app("locked").await,
    ];
    for app in &apps[1..] {
        app::give_to_team(&mut conn, *app, &team, world.stamp()).await.unwrap();
    }
    app::set_locked(&mut conn, apps[2], true, world.stamp()).await.unwrap();
    let mut people = vec![world.ann];
    for role in Role::OF_MEMBERS {
        let account = world.database.account(role.as_str()).await;
        team_member::put(&mut conn, team.id, account, role, world.stamp())
            .await
            .unwrap();
        people.push(account);
    }
    let outside = world.database.account("outside").await;
    for app in apps {
        create(&mut conn, app, outside, DEPLOY, world.stamp()).await.unwrap();
    }
    people.push(outside);
    people.push(world.database.account("stranger").await);
    Company { world, apps, people }
}

#[tokio::test]
async fn lists_hold_exactly_the_apps_on_which_somebody_has_a_permission() {
    let Company { world, apps, people } = company().await;
    let mut conn = world.conn().await;
    let mut counts = Vec::new();
    for account in people {
        let listed = app::list(&mut conn, account).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|app| app.id).collect();
        for app in apps {
            let standing = standing(&mut conn, app, account).await.unwrap();
            assert_eq!(
                listed.contains(&app),
                !standing.permissions().is_empty(),
                "{standing:?}"
            );
        }
        counts.push(listed.len());
    }
    // Ann, admin, member, viewer, outside, stranger.
    assert_eq!(counts, [3, 2, 1, 1, 3, 0]);
}

#[tokio::test]
async fn a_collaborator_is_added_once_changed_and_removed() {
    let Company { world, apps, people } = company().await;
    let mut conn = world.conn().await;
    let (app, stranger) = (apps[1], people[5]);
    let stamp = world.stamp();
    let made = create(&mut conn, app, stranger, Permissions::VIEW, stamp)
        .await
        .unwrap();
    assert_eq!(made.standing.role(), Some(Role::Collaborator));
    let again = create(&mut conn, app, stranger, DEPLOY, stamp).await;
    assert!(matches!(again, Err(StoreError::CollaboratorTaken)));
    for name in ["STRANGER@example.com", &made.id.to_string(), &stranger.to_string()] {
        assert_eq!(find(&mut conn, app, name).await.unwrap(), Some(made.clone()), "{name}");
    }
    let elsewhere = set_permissions(&mut conn, apps[0], made.id, DEPLOY, stamp)
        .await
        .unwrap();
    assert_eq!(elsewhere.unwrap().standing.given, Some(Permissions::VIEW));
    let changed = set_permissions(&mut conn, app, made.id, Permissions::ALL, stamp)
        .await
        .unwrap();
    assert_eq!(changed.unwrap().standing.permissions(), Permissions::ALL);
    assert!(!delete(&mut conn, apps[0], made.id, stamp).await.unwrap());
    assert!(delete(&mut conn, app, made.id, stamp).await.unwrap());
    assert!(!delete(&mut conn, app, made.id, stamp).await.unwrap());
    let events = event::list(&mut conn, app, 3).await.unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["destroy", "update", "create"]);
    assert_eq!(events[0].payload["user"]["email"], "stranger@example.com");
}

#[tokio::test]
async fn an_accepted_transfer_swaps_the_owner_and_a_collaborator() {
    let Company { world, apps, people } = company().await;
    let mut conn = world.conn().await;
    let (app, outside) = (apps[0], people[4]);
    let made = app_transfer::create(&mut conn, app, outside, world.stamp())
        .await
        .unwrap();
    let twice = app_transfer::create(&mut conn, app, people[5], world.stamp()).await;
    assert!(matches!(twice, Err(StoreError::TransferPending)));
    let accept = Stamp {
        by: outside,
        at: noon(),
    };
    app_transfer::decide(&mut conn, made.id, TransferState::Accepted, accept)
        .await
        .unwrap();
    let again = app_transfer::decide(&mut conn, made.id, TransferState::Declined, accept).await;
    assert!(matches!(again, Err(StoreError::TransferEnded)));
    assert!(standing(&mut conn, app, outside).await.unwrap().is_owner);
    let before = standing(&mut conn, app, world.ann).await.unwrap();
    assert_eq!(before.role(), Some(Role::Collaborator));
    assert_eq!(list(&mut conn, app).await.unwrap().len(), 1);
    // Ann's next offer is of an app that is not hers.
    let stale = app_transfer::create(&mut conn, app, people[5], world.stamp())
        .await
        .unwrap();
    let stale = app_transfer::decide(&mut conn, stale.id, TransferState::Accepted, accept).await;
    assert!(matches!(stale, Err(StoreError::TransferEnded)));
    assert!(standing(&mut conn, app, outside).await.unwrap().is_owner);
}
