//! `certs:generate`: a key, and a request for a certificate or a certificate that signs itself. Nothing of it leaves this
//! machine.
//!
//! Heroku's command has openssl do it, whose certificates name no host but in their subject: no browser takes those any more
//! (RFC 9110 §4.3.4), and the platform does not either. These have the domain where it belongs.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, time::Duration};

use clap::Args;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};

use crate::{
    app_context::{AppArgs, Context},
    error::{Error, Result},
    sni_endpoint, time,
};

/// How long a certificate signs for itself.
const VALIDITY: Duration = Duration::from_hours(365 * 24);
/// Before that moment, for clocks that are slow.
const SLACK: Duration = Duration::from_hours(1);
/// `emailAddress` of PKCS #9 (RFC 2985 §5.2.1).
const EMAIL_ADDRESS: &[u64] = &[1, 2, 840, 113_549, 1, 9, 1];

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The name that the certificate is for
    domain: String,
    #[command(flatten)]
    app: AppArgs,
    /// Make a certificate that signs itself, instead of a request
    #[arg(long)]
    selfsigned: bool,
    /// RSA key size in bits
    #[arg(long, value_name = "BITS", default_value = "2048", value_parser = ["2048", "3072", "4096"])]
    keysize: String,
    /// Name of the organization that the certificate belongs to
    #[arg(long)]
    owner: Option<String>,
    /// Country of the owner, as a two-letter ISO code
    #[arg(long)]
    country: Option<String>,
    /// State, province or the like of the owner
    #[arg(long)]
    area: Option<String>,
    /// City of the owner
    #[arg(long)]
    city: Option<String>,
    /// The entire subject, as in /C=US/O=Example/CN=www.example.com
    #[arg(long)]
    subject: Option<String>,
    /// Ask nothing about the owner
    #[arg(long)]
    now: bool,
}

/// `certs:generate`
pub(crate) fn generate(args: &GenerateArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let domain = &args.domain;
    check_domain(domain)?;
    let subject = match &args.subject {
        Some(subject) => subject.clone(),
        None => args.owner(context)?.subject(domain),
    };
    let subject = parse(&subject)?;
    let certificates = sni_endpoint::all(&app, context)?;
    let is_known = |names: &[String]| names.contains(domain);
    let has_one = certificates
        .iter()
        .any(|certificate| !certificate.ssl_cert.acm && is_known(&certificate.ssl_cert.cert_domains));
    let command = if has_one { "update" } else { "add" };

    let made = make(domain, subject, &args.keysize, args.selfsigned).map_err(|error| unusable(&error))?;
    let key_file = format!("{domain}.key");
    let file = format!("{domain}.{}", if args.selfsigned { "crt" } else { "csr" });
    write(&key_file, &made.key, 0o600)?;
    write(&file, &made.pem, 0o644)?;
    context.output.note(&if args.selfsigned {
        format!(
            "Your key and self-signed certificate have been generated.\nNext, run:\n\
             $ paas certs:{command} {file} {key_file}"
        )
    } else {
        format!(
            "Your key and certificate signing request have been generated.\n\
             Submit the CSR in '{file}' to your preferred certificate authority.\n\
             When you've received your certificate, run:\n$ paas certs:{command} CERTFILE {key_file}"
        )
    })
}

/// Who the certificate belongs to.
#[derive(Debug, Default)]
struct Owner {
    name: String,
    country: String,
    area: String,
    city: String,
}

impl GenerateArgs {
    /// As it was given, or answered.
    fn owner(&self, context: &Context) -> Result<Owner> {
        let given = [&self.owner, &self.country, &self.area, &self.city];
        if self.now || given.iter().any(|given| given.is_some()) {
            let [name, country, area, city] = given.map(|given| given.clone().unwrap_or_default());
            return Ok(Owner {
                name,
                country,
                area,
                city,
            });
        }
        let ask = |question| {
            context
                .output
                .ask(question, "the owner of the certificate", "--now or --subject")
        };
        Ok(Owner {
            name: ask("Owner of this certificate: ")?,
            country: ask("Country of owner (two-letter ISO code): ")?,
            area: ask("State/province/etc. of owner: ")?,
            city: ask("City of owner: ")?,
        })
    }
}

impl Owner {
    fn subject(&self, domain: &str) -> String {
        let parts = [
            ("C", self.country.as_str()),
            ("ST", &self.area),
            ("L", &self.city),
            ("O", &self.name),
            ("CN", domain),
        ];
        let mut subject = String::new();
        for (name, value) in parts.iter().filter(|(_, value)| !value.is_empty()) {
            subject.extend(["/", name, "="]);
            subject.push_str(&value.replace('\\', "\\\\").replace('/', "\\/"));
        }
        subject
    }
}

/// What was made, in PEM.
struct Made {
    key: String,
    /// A certificate or a request.
    pem: String,
}

/// Names files, too.
fn check_domain(domain: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*');
    let is_good = domain.bytes().all(is_allowed) && domain.starts_with(|first: char| first != '-' && first != '.');
    if is_good {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{domain} is no domain name; one in another alphabet is written as in the DNS, with xn--"
    )))
}

/// `/C=US/O=Example/CN=www.example.com`, as openssl reads it: a backslash takes the meaning from what follows.
fn parse(subject: &str) -> Result<DistinguishedName> {
    let bad = |part: &str| {
        Error::Usage(format!(
            "{part:?} is no part of a subject, which is written as in /C=US/ST=California/L=San Francisco/O=Example/\
             CN=www.example.com"
        ))
    };
    let mut parts = vec![String::new()];
    let mut characters = subject.strip_prefix('/').ok_or_else(|| bad(subject))?.chars();
    while let Some(character) = characters.next() {
        let last = parts.last_mut().expect("there is one from the beginning");
        match character {
            '/' => parts.push(String::new()),
            '\\' => last.extend(characters.next()),
            plain => last.push(plain),
        }
    }
    let mut name = DistinguishedName::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let (kind, value) = part.split_once('=').ok_or_else(|| bad(part))?;
        let text = DnValue::from(value);
        let (kind, value) = match kind {
            // RFC 5280, appendix A.1: two letters, in the plainest of alphabets.
            "C" => {
                let is_code = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
                let value = value
                    .to_ascii_uppercase()
                    .as_str()
                    .try_into()
                    .map(DnValue::PrintableString);
                let value = value.ok().filter(|_| is_code);
                (DnType::CountryName, value.ok_or_else(|| bad(part))?)
            }
            "ST" => (DnType::StateOrProvinceName, text),
            "L" => (DnType::LocalityName, text),
            "O" => (DnType::OrganizationName, text),
            "OU" => (DnType::OrganizationalUnitName, text),
            "CN" => (DnType::CommonName, text),
            "emailAddress" => {
                let value = value.try_into().map(DnValue::Ia5String);
                (
                    DnType::CustomDnType(EMAIL_ADDRESS.to_vec()),
                    value.map_err(|_| bad(part))?,
                )
            }
            _ => return Err(bad(part)),
        };
        name.push(kind, value);
    }
    Ok(name)
}

fn make(domain: &str, subject: DistinguishedName, bits: &str, is_self_signed: bool) -> Result<Made, rcgen::Error> {
    let size = match bits {
        "4096" => RsaKeySize::_4096,
        "3072" => RsaKeySize::_3072,
        _ => RsaKeySize::_2048,
    };
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)?;
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = Duration::from_secs(time::now().timestamp().try_into().unwrap_or_default());
    let now = date_time_ymd(1970, 1, 1) + now;
    (params.not_before, params.not_after) = (now - SLACK, now + VALIDITY);
    let pem = if is_self_signed {
        params.self_signed(&key)?.pem()
    } else {
        params.serialize_request(&key)?.pem()?
    };
    Ok(Made {
        key: key.serialize_pem(),
        pem,
    })
}

/// A key that is there already may be the only one for a certificate that was paid for: nothing is overwritten.
fn write(path: &str, text: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

fn unusable(error: &rcgen::Error) -> Error {
    Error::Usage(format!("The certificate cannot be made: {error}"))
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateSigningRequestParams;

    use super::*;

    fn text(subject: &str) -> Result<Vec<String>> {
        let name = parse(subject)?;
        Ok(name.iter().map(|(kind, value)| format!("{kind:?}={value:?}")).collect())
    }

    #[test]
    fn a_subject_is_read_as_openssl_reads_it() {
        let whole = text("/C=us/ST=CA/L=San Francisco/O=A\\/B/OU=x=y/CN=www.example.com/emailAddress=me@example.com");
        assert_eq!(
            whole.unwrap(),
            [
                "CountryName=PrintableString(PrintableString(\"US\"))",
                "StateOrProvinceName=Utf8String(\"CA\")",
                "LocalityName=Utf8String(\"San Francisco\")",
                "OrganizationName=Utf8String(\"A/B\")",
                "OrganizationalUnitName=Utf8String(\"x=y\")",
                "CommonName=Utf8String(\"www.example.com\")",
                "CustomDnType([1, 2, 840, 113549, 1, 9, 1])=Ia5String(Ia5String(\"me@example.com\"))",
            ]
        );
        for bad in ["", "CN=www.example.com", "/CN", "/C=USA", "/X=y", "/emailAddress=é"] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_owner_is_a_subject_whatever_it_is_called() {
        let owner = Owner {
            name: "A/B \\ C".to_owned(),
            country: "DE".to_owned(),
            ..Owner::default()
        };
        let name = parse(&owner.subject("www.example.com")).unwrap();
        let organization = name.get(&DnType::OrganizationName);
        assert_eq!(organization, Some(&DnValue::Utf8String("A/B \\ C".to_owned())));
        assert_eq!(name.iter().count(), 3);
    }

    #[test]
    fn a_request_names_its_domain_where_authorities_look() {
        let made = make("www.example.com", parse("/CN=www.example.com").unwrap(), "2048", false).unwrap();
        assert!(made.key.starts_with("-----BEGIN PRIVATE KEY-----"));
        let request = CertificateSigningRequestParams::from_pem(&made.pem).unwrap();
        assert_eq!(
            format!("{:?}", request.params.subject_alt_names),
            "[DnsName(Ia5String(\"www.example.com\"))]"
        );
    }

    #[test]
    fn a_name_of_a_file_is_no_domain() {
        for bad in ["", "../x", "a/b", "-x", ".x", "müller.example", "a b"] {
            assert!(check_domain(bad).is_err(), "{bad:?}");
        }
        assert!(check_domain("*.example.com").is_ok());
    }

    #[test]
    fn nothing_is_overwritten_and_a_key_is_for_its_owner_alone() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("www.example.com.key").display().to_string();
        write(&path, "first", 0o600).unwrap();
        assert!(write(&path, "second", 0o600).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
