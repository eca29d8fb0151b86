//! Talks to certificate authorities that speak ACME (RFC 8555), for a caller that keeps the state.
//!
//! Nothing is remembered here that matters: an order is its URL, and [`Authority::look`] asks the authority what it has come
//! to. So a caller that crashed carries on by looking again, from any line. A caller does, for as long as it takes:
//!
//! ```text
//! order(names) ─▶ look ─▶ Validate   put the challenges in place, then say ready(name, kind) for each wanted one
//!    store url    ▲ │ ├─▶ Ready      finalize(key), with a key that was stored before
//!                 └─┘ ├─▶ Processing
//!                     ├─▶ Issued     store chain and key, take the challenges away
//!                     └─▶ Failed     the authority's own words; a new order may be placed, later
//! ```
//!
//! Invariants:
//!
//! - Every call ends in bounded time. It repeats what was certainly not handled (a nonce that was not taken, a connection
//!   that was not made), and what does no harm when handled twice. Of an
//!   order whose answer was lost it says so, and places no second one.
//! - When to order, how often, and what to do with a failure is the caller's business.
//! - No key is in an error, a log line or `Debug` output.

mod account;
mod authority;
mod challenge;
mod error;
mod key;
mod order;
mod patience;
mod problem;
mod renewal;
mod transport;
mod validation;

pub use account::{Account, Directory, ExternalAccount};
pub use authority::{Authority, Connected};
pub use challenge::{ChallengeKind, Offer, Validation, ValidationState};
pub use error::AcmeError;
pub use key::PrivateKey;
pub use order::{OrderState, OrderUrl};
pub use problem::{Problem, ProblemKind};
pub use renewal::RenewalWindow;
