//! One certificate authority, with our account there.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::DateTime;
use http::StatusCode;
use instant_acme::{
    AuthorizationStatus, CertificateIdentifier, ChallengeStatus, Identifier, NewOrder, Order, OrderStatus,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::Instant;

use super::{
    Account, AcmeError, ChallengeKind, Directory, OrderState, OrderUrl, PrivateKey, Problem, ProblemKind,
    RenewalWindow,
    account::{find, register},
    patience::{Patience, Repeat},
    transport::Transport,
};

/// An authority that was told of a challenge and has nothing to say about it for so long is told again.
const TELL_AGAIN: Duration = Duration::from_mins(2);

pub struct Authority {
    pub(super) account: instant_acme::Account,
    /// Challenges that the authority was told of, by address: what it does about them does not show in their state.
    told: Mutex<HashMap<String, Instant>>,
}

/// A connection was made, and our account is known there.
#[derive(Debug)]
pub struct Connected {
    pub authority: Authority,
    /// An account that was registered just now: to be sealed and stored before the first order.
    pub new_account: Option<Account>,
}

impl Authority {
    /// Finds our account, or registers one when there is none or the authority has lost it.
    pub async fn connect(directory: &Directory, account: Option<&Account>) -> Result<Connected, AcmeError> {
        let transport = Transport::new(directory).await?;
        if let Some(account) = account
            && let Some(found) = find(directory, account, &transport).await?
        {
            return Ok(Connected {
                authority: Self::new(found),
                new_account: None,
            });
        }
        let (registered, account) = register(directory, &transport).await?;
        Ok(Connected {
            authority: Self::new(registered),
            new_account: Some(account),
        })
    }

    fn new(account: instant_acme::Account) -> Self {
        Self {
            account,
            told: Mutex::default(),
        }
    }

    /// Places an order. It counts against the authority's limits: store the URL before anything else.
    ///
    /// `replaces` is the leaf (PEM) that the new certificate will stand in for, which spares the limits (RFC 9773 §5).
    pub async fn order(&self, names: &[String], replaces: Option<&str>) -> Result<OrderUrl, AcmeError> {
        let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
        if let Some(leaf_pem) = replaces
            && let Ok(leaf) = leaf(leaf_pem)
            && let Ok(replaced) = CertificateIdentifier::try_from(&leaf)
        {
            match self.place(&NewOrder::new(&identifiers).replaces(replaced)).await {
                Ok(url) => return Ok(url),
                // It does not know the certificate, or not what to do with it: the order is good without. One that was taken
                // and not understood (an `Answer`) is an order all the same, and not placed twice.
                Err(error @ (AcmeError::Refused(_) | AcmeError::Unsupported(_)))
                    if error
                        .problem()
                        .is_none_or(|problem| !problem.kind.is_authoritys_fault()) =>
                {
                    tracing::debug!(%error, "an order was not taken as the replacement of a certificate");
                }
                Err(error) => return Err(error),
            }
        }
        self.place(&NewOrder::new(&identifiers)).await
    }

    async fn place(&self, order: &NewOrder<'_>) -> Result<OrderUrl, AcmeError> {
        let mut patience = Patience::new(Repeat::Unhandled);
        loop {
            match self.account.new_order(order).await {
                Ok(order) => return Ok(OrderUrl::new(order.url())),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// What the authority says about an order now. Changes nothing.
    pub async fn look(&self, order: &OrderUrl) -> Result<OrderState, AcmeError> {
        match self.state(order).await {
            Err(AcmeError::Refused(problem)) if problem.status == Some(StatusCode::NOT_FOUND.as_u16()) => {
                Ok(OrderState::Failed(problem.order_gone()))
            }
            state => state,
        }
    }

    async fn state(&self, order: &OrderUrl) -> Result<OrderState, AcmeError> {
        let mut order = self.fetch(order).await?;
        match order.state().status {
            OrderStatus::Pending => self.validations(&mut order).await,
            OrderStatus::Ready => Ok(OrderState::Ready),
            OrderStatus::Processing => Ok(OrderState::Processing),
            OrderStatus::Valid => issued(&mut order).await,
            OrderStatus::Invalid => self.failure(&mut order).await,
        }
    }

    /// Tells the authority that a challenge is in place. May be said again.
    pub async fn ready(&self, order: &OrderUrl, name: &str, kind: ChallengeKind) -> Result<(), AcmeError> {
        let mut order = self.fetch(order).await?;
        let mut patience = Patience::new(Repeat::Anything);
        'again: loop {
            let mut authorizations = order.authorizations();
            while let Some(next) = authorizations.next().await {
                let mut authorization = match next {
                    Ok(authorization) => authorization,
                    Err(error) => {
                        patience.after(error).await?;
                        continue 'again;
                    }
                };
                if authorization.identifier().to_string() != name {
                    continue;
                }
                let is_pending = authorization.status == AuthorizationStatus::Pending;
                let Some(mut challenge) = authorization.challenge(kind.into()) else {
                    break;
                };
                if !is_pending || challenge.status != ChallengeStatus::Pending {
                    return Ok(());
                }
                match challenge.set_ready().await {
                    // Its own verdict on the challenge, which the next look shows.
                    Err(instant_acme::Error::Api(problem))
                        if Problem::from(problem.clone()).kind != ProblemKind::BadNonce => {}
                    Ok(()) => {}
                    Err(error) => {
                        patience.after(error).await?;
                        continue 'again;
                    }
                }
                self.tell(&challenge.url);
                return Ok(());
            }
            let (name, kind) = (name.to_owned(), kind.as_str());
            return Err(AcmeError::NotOffered { name, kind });
        }
    }

    /// Asks for the certificate of an order that is ready. May be said again.
    pub async fn finalize(&self, order: &OrderUrl, key: &PrivateKey) -> Result<(), AcmeError> {
        let mut patience = Patience::new(Repeat::Anything);
        loop {
            let mut order = self.fetch(order).await?;
            match order.state().status {
                OrderStatus::Ready => {}
                OrderStatus::Processing | OrderStatus::Valid => return Ok(()),
                OrderStatus::Pending | OrderStatus::Invalid => return Err(AcmeError::NotReady),
            }
            let request = key.request(names(&mut order).await?)?;
            match order.finalize_csr(&request).await {
                Ok(()) => return Ok(()),
                // When the answer was lost, the order says so when it is fetched again.
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// When the authority would like the certificate to be renewed; `None` when it has no opinion.
    pub async fn renewal_window(&self, leaf_pem: &str) -> Result<Option<RenewalWindow>, AcmeError> {
        let leaf = leaf(leaf_pem)?;
        let id = CertificateIdentifier::try_from(&leaf).map_err(AcmeError::Certificate)?;
        let mut patience = Patience::new(Repeat::Anything);
        let (info, ask_again_after) = loop {
            match self.account.renewal_info(&id).await {
                Ok(answer) => break answer,
                Err(instant_acme::Error::Unsupported(_)) => return Ok(None),
                Err(error) => patience.after(error).await?,
            }
        };
        let window = info.suggested_window;
        let time = |seconds| DateTime::from_timestamp(seconds, 0);
        let (Some(start), Some(end)) = (time(window.start.unix_timestamp()), time(window.end.unix_timestamp())) else {
            return Err(AcmeError::Answer("a renewal window at the end of time".to_owned()));
        };
        // RFC 9773 §4.2: such a window is to be treated as if there were none.
        if end < start {
            return Ok(None);
        }
        Ok(Some(RenewalWindow {
            start,
            end,
            ask_again_after,
            explanation_url: info.explanation_url,
        }))
    }

    async fn fetch(&self, order: &OrderUrl) -> Result<Order, AcmeError> {
        let mut patience = Patience::new(Repeat::Anything);
        loop {
            match self.account.order(order.as_str().to_owned()).await {
                Ok(order) => return Ok(order),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    fn tell(&self, challenge: &str) {
        let mut told = self.told();
        told.retain(|_, at| at.elapsed() < TELL_AGAIN);
        told.insert(challenge.to_owned(), Instant::now());
    }

    pub(super) fn was_told(&self, challenge: &str) -> bool {
        self.told().get(challenge).is_some_and(|at| at.elapsed() < TELL_AGAIN)
    }

    fn told(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("account", &self.account.id())
            .finish_non_exhaustive()
    }
}

/// The names of an order, in the authority's words.
async fn names(order: &mut Order) -> Result<Vec<String>, AcmeError> {
    let mut patience = Patience::new(Repeat::Anything);
    'again: loop {
        let mut names = Vec::new();
        let mut identifiers = order.identifiers();
        while let Some(next) = identifiers.next().await {
            match next {
                Ok(identifier) => names.push(identifier.to_string()),
                Err(error) => {
                    patience.after(error).await?;
                    continue 'again;
                }
            }
        }
        return Ok(names);
    }
}

async fn issued(order: &mut Order) -> Result<OrderState, AcmeError> {
    let mut patience = Patience::new(Repeat::Anything);
    loop {
        match order.certificate().await {
            Ok(Some(chain_pem)) => return Ok(OrderState::Issued { chain_pem }),
            Ok(None) => return Ok(OrderState::Processing),
            Err(error) => patience.after(error).await?,
        }
    }
}

fn leaf(pem: &str) -> Result<CertificateDer<'static>, AcmeError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| AcmeError::Certificate(error.to_string()))
}
