//! Accounts are registered once, and again when an authority has lost them.

use paas_router::acme::{Account, Authority, ChallengeKind, ExternalAccount};

use crate::stage::{Stage, owned};

const KEY_ID: &str = "kid-1";
const HMAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_account_is_registered_once() {
    let stage = Stage::start().await;
    let account = stage.connect().await.new_account.unwrap();
    assert_eq!(format!("{account:?}"), "Account");
    let stored = Account::from_bytes(account.as_bytes().to_vec());
    let connected = Authority::connect(&stage.directory(), Some(&stored)).await.unwrap();
    assert_eq!(connected.new_account, None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_authority_that_forgets_us_while_we_are_connected_says_so_and_a_new_account_serves() {
    let stage = Stage::start().await;
    let connected = stage.connect().await;
    stage.pebble.kill();
    stage.pebble.run();
    let names = owned(&["www.example.com"]);
    let unknown = connected.authority.order(&names, None).await.unwrap_err();
    assert!(unknown.is_account_unknown(), "{unknown:?}");
    let connected = Authority::connect(&stage.directory(), connected.new_account.as_ref()).await;
    let authority = connected.unwrap().authority;
    let issued = stage.issue(&authority, &["www.example.com"], ChallengeKind::Dns01);
    assert!(issued.await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_authority_may_want_accounts_of_its_customers_only() {
    let external_account = Some((KEY_ID.to_owned(), HMAC_KEY.to_owned()));
    let stage = Stage::with(|options| options.external_account = external_account).await;
    let mut directory = stage.directory();
    let refused = Authority::connect(&directory, None).await.unwrap_err();
    let words = refused.to_string();
    assert!(words.contains("externalAccountBinding"), "{words}");
    directory.external_account = Some(ExternalAccount {
        key_id: KEY_ID.to_owned(),
        hmac_key: format!("{HMAC_KEY}==\n"),
    });
    let debug = format!("{directory:?}");
    assert!(!debug.contains(HMAC_KEY), "{debug}");
    let connected = Authority::connect(&directory, None).await.unwrap();
    assert!(connected.new_account.is_some());
}
