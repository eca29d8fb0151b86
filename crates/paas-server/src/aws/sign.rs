//! AWS Signature Version 4: the `Authorization` of a request.
//!
//! Ours, because AWS's own crate brings a dozen others along for what is eighty lines here; held against AWS's published
//! test suite below. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use std::fmt::Write;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use paas_api::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// RFC 3986's unreserved characters are the only ones that stay.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who signs. The secret never leaves this machine.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    /// Of a role: credentials that end soon.
    pub(crate) session_token: Option<Secret>,
}

/// Where a signature is valid.
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

pub(crate) struct ToSign<'a> {
    pub(crate) method: &'a str,
    /// Of characters that need no encoding.
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// Lower-case names with values, `host` and `x-amz-date` among them, in alphabetical order.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The [`sha256`] of the body: whoever gets another body refuses it.
    pub(crate) body: &'a str,
}

/// The value of `X-Amz-Date`.
pub(crate) fn amz_date(now: DateTime<Utc>) -> String {
    now.format("%Y%m%dT%H%M%SZ").to_string()
}

/// A query as it is signed, which is also how it is sent.
pub(crate) fn query_text(query: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, RESERVED).to_string();
    let mut pairs: Vec<_> = query.iter().map(|(key, value)| (encode(key), encode(value))).collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join("&")
}

/// The value of `Authorization`.
pub(crate) fn authorization(request: &ToSign<'_>, credentials: &Credentials, scope: &Scope<'_>, date: &str) -> String {
    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, query_text(request.query));
    for (name, value) in request.headers {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let names: Vec<_> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let _ = write!(canonical, "\n{names}\n{}", request.body);

    let day = date.get(..8).unwrap_or(date);
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope_text}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let secret = format!("AWS4{}", credentials.secret_access_key.expose());
    let key = [day, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope_text}, SignedHeaders={names}, Signature={}",
        credentials.access_key_id,
        hex(&hmac(&key, to_sign.as_bytes()))
    )
}

/// In hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope<'_> = Scope {
        region: "us-east-1",
        service: "service",
    };
    const DATE: &str = "20150830T123600Z";
    const HOST: (&str, &str) = ("host", "example.amazonaws.com");
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfp\
        SPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQ\
        DYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+s\
        cqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
        }
    }

    fn signature(method: &str, query: &[(&str, &str)], headers: &[(&str, &str)], body: &str) -> String {
        let request = ToSign {
            method,
            path: "/",
            query,
            headers,
            body: &sha256(body.as_bytes()),
        };
        let signed = authorization(&request, &credentials(None), &SCOPE, DATE);
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let rest = signed.strip_prefix(&format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, Signature=",
            names.join(";")
        ));
        rest.expect("the parts that are no secret are as given").to_owned()
    }

    /// Cases of AWS's Signature Version 4 test suite, under the names that they have there.
    #[test]
    fn signatures_are_those_of_the_published_test_suite() {
        let plain = [HOST, ("x-amz-date", DATE)];
        assert_eq!(
            signature("GET", &[], &plain, ""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            "get-vanilla"
        );
        assert_eq!(
            signature("POST", &[], &plain, ""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            "post-vanilla"
        );
        assert_eq!(
            signature("GET", &[("Param2", "value2"), ("Param1", "value1")], &plain, ""),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            "get-vanilla-query-order-key-case"
        );
        assert_eq!(
            signature("GET", &[("Param1", "value2"), ("Param1", "value1")], &plain, ""),
            "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
            "get-vanilla-query-order-value"
        );
        let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        assert_eq!(
            signature("GET", &[(unreserved, unreserved)], &plain, ""),
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            "get-vanilla-query-unreserved"
        );
        let spaces = [
            HOST,
            ("my-header1", " value1"),
            ("my-header2", " \"a   b   c\""),
            ("x-amz-date", DATE),
        ];
        assert_eq!(
            signature("GET", &[], &spaces, ""),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            "get-header-value-trim"
        );
        let form = [
            ("content-type", "application/x-www-form-urlencoded"),
            HOST,
            ("x-amz-date", DATE),
        ];
        assert_eq!(
            signature("POST", &[], &form, "Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            "post-x-www-form-urlencoded"
        );
        let sts = [HOST, ("x-amz-date", DATE), ("x-amz-security-token", TOKEN)];
        assert_eq!(
            signature("POST", &[], &sts, ""),
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            "post-sts-header-before"
        );
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let shown = format!("{:?}", credentials(Some("token")));
        assert!(shown.contains("AKIDEXAMPLE"));
        assert!(!shown.contains("wJalr") && !shown.contains("\"token\""), "{shown}");
    }

    /// The examples of S3's own documentation ("Authenticating Requests: Using the Authorization Header").
    #[test]
    fn requests_to_a_bucket_are_signed_as_documented() {
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        const TEXT: &str = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        let (region, service, date) = ("us-east-1", "s3", "20130524T000000Z");
        let (host, at) = (("host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", date));
        let body = |sum| ("x-amz-content-sha256", sum);
        let day = ("date", "Fri, 24 May 2013 00:00:00 GMT");
        let class = ("x-amz-storage-class", "REDUCED_REDUNDANCY");
        let range = ("range", "bytes=0-9");
        let signed = |method, path, query: &[(&str, &str)], headers: &[(&str, &str)], body| {
            let request = ToSign {
                method,
                path,
                query,
                headers,
                body,
            };
            let text = authorization(&request, &credentials, &Scope { region, service }, date);
            text.rsplit_once("Signature=")
                .map(|(_, signature)| signature.to_owned())
        };
        assert_eq!(
            signed("GET", "/test.txt", &[], &[host, range, body(EMPTY), at], EMPTY).as_deref(),
            Some("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        );
        assert_eq!(
            signed(
                "PUT",
                "/test%24file.text",
                &[],
                &[day, host, body(TEXT), at, class],
                TEXT
            )
            .as_deref(),
            Some("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
        );
        assert_eq!(
            signed("GET", "/", &[("lifecycle", "")], &[host, body(EMPTY), at], EMPTY).as_deref(),
            Some("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        );
        let query = [("max-keys", "2"), ("prefix", "J")];
        assert_eq!(
            signed("GET", "/", &query, &[host, body(EMPTY), at], EMPTY).as_deref(),
            Some("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        );
    }
}
