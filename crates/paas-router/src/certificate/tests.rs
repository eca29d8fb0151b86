use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256, date_time_ymd};

use super::*;

/// A leaf under an intermediate under a root, as a public authority issues it.
struct World {
    root: String,
    intermediate: String,
    leaf: String,
    key: KeyPair,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 4, 1);
    params
}

fn world_with(key: KeyPair, names: &[&str]) -> World {
    let root_key = KeyPair::generate().unwrap();
    let root = authority("Root");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(root, root_key);
    let intermediate_key = KeyPair::generate().unwrap();
    let intermediate = authority("Intermediate");
    let intermediate_pem = intermediate.signed_by(&intermediate_key, &root).unwrap().pem();
    let intermediate = Issuer::new(intermediate, intermediate_key);
    World {
        root: root_pem,
        intermediate: intermediate_pem,
        leaf: leaf(names).signed_by(&key, &intermediate).unwrap().pem(),
        key,
    }
}

fn world() -> World {
    world_with(KeyPair::generate().unwrap(), &["www.example.com", "*.example.net"])
}

fn day(month: u32, day: u32) -> DateTime<Utc> {
    let date = chrono::NaiveDate::from_ymd_opt(2026, month, day).unwrap();
    date.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

fn check(chain: &[&str], key: &KeyPair) -> Result<CertificateFacts, PairError> {
    check_pair(&chain.concat(), &key.serialize_pem(), None, day(2, 1))
}

#[test]
fn a_whole_chain_and_its_key_are_good() {
    let World {
        root,
        intermediate,
        leaf,
        key,
    } = world();
    let facts = check(&[&leaf, &intermediate, &root], &key).unwrap();
    assert_eq!(facts.names, ["www.example.com", "*.example.net"]);
    assert_eq!(facts.issuer, "CN=Intermediate");
    assert!(!facts.is_self_signed);
    assert_eq!(facts.not_after.date_naive().to_string(), "2026-04-01");
    // A root does not belong into a chain, but many put it there; and some forget the intermediate.
    assert!(check(&[&leaf, &intermediate], &key).is_ok());
    assert!(check(&[&leaf], &key).is_ok());
}

#[test]
fn rsa_serves_as_well() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let World {
        intermediate,
        leaf,
        key,
        ..
    } = world_with(key, &["www.example.com"]);
    assert!(check(&[&leaf, &intermediate], &key).is_ok());
}

#[test]
fn a_self_signed_certificate_is_told_apart() {
    let key = KeyPair::generate().unwrap();
    let pem = leaf(&["www.example.com"]).self_signed(&key).unwrap().pem();
    assert!(check(&[&pem], &key).unwrap().is_self_signed);
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    let World { intermediate, leaf, .. } = world();
    let other = KeyPair::generate().unwrap();
    assert_eq!(check(&[&leaf, &intermediate], &other), Err(PairError::Mismatch));
    let other = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    assert_eq!(check(&[&leaf, &intermediate], &other), Err(PairError::Mismatch));
}

#[test]
fn a_chain_in_the_wrong_order_says_which_place_is_wrong() {
    let World {
        root,
        intermediate,
        leaf,
        key,
    } = world();
    let error = check(&[&leaf, &root, &intermediate], &key).unwrap_err();
    let (issuer, next) = ("CN=Intermediate".to_owned(), "CN=Root".to_owned());
    assert_eq!(
        error,
        PairError::Order {
            position: 1,
            issuer,
            next
        }
    );
    // With the intermediate first, its key is the one that is looked for.
    assert_eq!(check(&[&intermediate, &leaf], &key), Err(PairError::Mismatch));
}

#[test]
fn an_intermediate_of_the_same_name_with_another_key_is_refused() {
    let World { leaf, key, .. } = world();
    let impostor = world().intermediate;
    assert!(matches!(check(&[&leaf, &impostor], &key), Err(PairError::Chain(_))));
}

#[test]
fn dates_count() {
    let World {
        intermediate,
        leaf,
        key,
        ..
    } = world();
    let chain = [leaf, intermediate].concat();
    let at = |now| check_pair(&chain, &key.serialize_pem(), None, now).map(|_| ());
    assert_eq!(at(day(1, 2)), Ok(()));
    assert!(matches!(at(day(4, 2)), Err(PairError::Expired(_))));
    let early = at(day(1, 1) - chrono::Duration::days(2)).unwrap_err();
    assert_eq!(
        early.to_string(),
        "the certificate is not valid before 2026-01-01 00:00 UTC; wait, or set the clock right"
    );
}

#[test]
fn a_name_has_to_be_covered() {
    let World {
        intermediate,
        leaf,
        key,
        ..
    } = world();
    let chain = [leaf, intermediate].concat();
    let of = |name| check_pair(&chain, &key.serialize_pem(), Some(name), day(2, 1)).map(|_| ());
    assert_eq!(of("WWW.example.com"), Ok(()));
    assert_eq!(of("shop.example.net"), Ok(()));
    assert_eq!(of("*.example.net"), Ok(()));
    assert_eq!(
        of("a.shop.example.net").unwrap_err().to_string(),
        "the certificate does not cover a.shop.example.net, only www.example.com, *.example.net"
    );
    assert!(of("example.net").is_err());
    assert!(of("*.example.com").is_err());
}

#[test]
fn what_is_no_pem_is_refused_in_words() {
    let World { leaf, key, .. } = world();
    let key = key.serialize_pem();
    let check = |chain: &str, key: &str| check_pair(chain, key, None, day(2, 1)).unwrap_err();
    assert_eq!(check("hello", &key), PairError::NoCertificate);
    assert_eq!(check(&leaf, "hello"), PairError::NoKey);
    assert_eq!(check(&format!("{leaf}{key}"), &key), PairError::KeyInChain);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(check(&leaf, encrypted), PairError::EncryptedKey);
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        check(garbage, &key),
        PairError::Unreadable { position: 1, .. }
    ));
    assert!(matches!(
        check(&format!("{leaf}{garbage}"), &key),
        PairError::Unreadable { position: 2, .. }
    ));
}

#[test]
fn a_certificate_with_any_one_byte_changed_is_refused() {
    let World {
        intermediate,
        leaf,
        key,
        ..
    } = world();
    let der = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap().to_vec();
    for place in 0..der.len() {
        let mut damaged = der.clone();
        damaged[place] ^= 0x01;
        let damaged = pem(&damaged);
        assert!(check(&[&damaged, &intermediate], &key).is_err(), "byte {place}");
    }
}

fn pem(der: &[u8]) -> String {
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
