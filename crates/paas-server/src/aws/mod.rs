//! Who we are to AWS, and to others who speak its language: credentials, and the signatures made with them.

mod credentials;
mod sign;

pub(crate) use credentials::{CredentialsError, CredentialsSource};
pub(crate) use sign::{Credentials, Scope, ToSign, amz_date, authorization, query_text, sha256};
