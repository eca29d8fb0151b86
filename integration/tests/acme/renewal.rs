//! Authorities say when to renew, and are told what an order replaces.

use std::time::Duration;

use paas_router::acme::{Authority, RenewalWindow};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, SerialNumber};

use crate::{
    directory::{FakeDirectory, Manners},
    stage::{Stage, owned},
};

/// The example of RFC 9773 §4.1.
const CERTIFICATE_ID: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

/// A leaf with the authority key identifier and the serial number of that example.
fn leaf() -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Issuer");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let identifier = [
        0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde, 0x01,
        0xc8, 0xd4,
    ];
    params.key_identifier_method = KeyIdMethod::PreSpecified(identifier.to_vec());
    let issuer = Issuer::new(params, KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(owned(&["www.example.com"])).unwrap();
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
    params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().pem()
}

async fn window(authority: &Authority) -> Option<RenewalWindow> {
    authority.renewal_window(&leaf()).await.unwrap()
}

#[tokio::test]
async fn an_authority_is_asked_about_the_very_certificate() {
    let directory = FakeDirectory::start(Manners::good()).await;
    let window = window(&directory.connect().await).await.unwrap();
    assert_eq!(window.start.to_rfc3339(), "2026-03-01T04:00:00+00:00");
    assert_eq!(window.end.to_rfc3339(), "2026-03-03T04:00:00+00:00");
    // It is measured against the clock of the machine.
    assert!(window.ask_again_after.abs_diff(Duration::from_hours(1)) < Duration::from_secs(30));
    assert!(window.explanation_url.unwrap().ends_with("/why"));
    assert_eq!(directory.asked("/renewal/")[0].0, CERTIFICATE_ID);
}

#[tokio::test]
async fn an_authority_that_does_not_say_when_to_ask_again_is_asked_in_six_hours() {
    let manners = Manners {
        retry_after: None,
        ..Manners::good()
    };
    let directory = FakeDirectory::start(manners).await;
    let window = window(&directory.connect().await).await.unwrap();
    assert!(window.ask_again_after.abs_diff(Duration::from_hours(6)) < Duration::from_secs(30));
}

#[tokio::test]
async fn a_window_that_ends_before_it_begins_is_none() {
    let (start, end) = Manners::good().window;
    let manners = Manners {
        window: (end, start),
        ..Manners::good()
    };
    let directory = FakeDirectory::start(manners).await;
    assert_eq!(window(&directory.connect().await).await, None);
}

#[tokio::test]
async fn an_authority_without_renewal_information_has_no_opinion_and_takes_orders_all_the_same() {
    let manners = Manners {
        knows_renewal: false,
        ..Manners::good()
    };
    let directory = FakeDirectory::start(manners).await;
    let authority = directory.connect().await;
    assert_eq!(window(&authority).await, None);
    let names = owned(&["www.example.com"]);
    authority.order(&names, Some(&leaf())).await.unwrap();
    let orders = directory.asked("/order");
    assert_eq!(orders.len(), 1);
    assert!(orders[0].1["replaces"].is_null());
}

#[tokio::test]
async fn an_order_says_which_certificate_it_replaces() {
    let directory = FakeDirectory::start(Manners::good()).await;
    let authority = directory.connect().await;
    let names = owned(&["www.example.com"]);
    let url = authority.order(&names, Some(&leaf())).await.unwrap();
    assert!(url.as_str().ends_with("/order/1"));
    assert_eq!(directory.asked("/order")[0].1["replaces"], CERTIFICATE_ID);
}

#[tokio::test]
async fn an_order_that_may_not_replace_is_placed_as_a_new_one() {
    let manners = Manners {
        refuses_replacements: Some("alreadyReplaced"),
        ..Manners::good()
    };
    let directory = FakeDirectory::start(manners).await;
    let authority = directory.connect().await;
    let names = owned(&["www.example.com"]);
    authority.order(&names, Some(&leaf())).await.unwrap();
    let orders = directory.asked("/order");
    assert_eq!(orders.len(), 2);
    assert!(orders[1].1["replaces"].is_null());
}

#[tokio::test]
async fn an_order_that_was_taken_in_another_sense_is_not_placed_twice() {
    // RFC 9773 §5: an authority reflects what it was told. One that does not has made an order, whatever it thinks of it.
    let manners = Manners {
        reflects_replacements: false,
        ..Manners::good()
    };
    let directory = FakeDirectory::start(manners).await;
    let authority = directory.connect().await;
    let names = owned(&["www.example.com"]);
    let answered = authority.order(&names, Some(&leaf())).await.unwrap_err();
    assert!(answered.is_authoritys_fault(), "{answered}");
    assert_eq!(directory.asked("/order").len(), 1);
}

#[tokio::test]
async fn a_limit_that_was_reached_is_not_asked_again_in_another_way() {
    let manners = Manners {
        refuses_replacements: Some("rateLimited"),
        ..Manners::good()
    };
    let directory = FakeDirectory::start(manners).await;
    let authority = directory.connect().await;
    let names = owned(&["www.example.com"]);
    let refused = authority.order(&names, Some(&leaf())).await.unwrap_err();
    assert!(refused.is_authoritys_fault());
    assert_eq!(directory.asked("/order").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn pebble_has_no_opinion() {
    let stage = Stage::start().await;
    assert_eq!(window(&stage.connect().await.authority).await, None);
}
