//! What an order's authorizations say (RFC 8555 §7.1.4).

use instant_acme::{AuthorizationHandle, AuthorizationStatus, ChallengeStatus, Order};

use super::{
    AcmeError, Authority, ChallengeKind, Offer, OrderState, Problem, Validation, ValidationState,
    patience::{Patience, Repeat},
};

impl Authority {
    pub(super) async fn validations(&self, order: &mut Order) -> Result<OrderState, AcmeError> {
        let mut patience = Patience::new(Repeat::Anything);
        'again: loop {
            let mut validations = Vec::new();
            let mut authorizations = order.authorizations();
            while let Some(next) = authorizations.next().await {
                match next {
                    Ok(authorization) => validations.push(self.validation(&authorization)),
                    Err(error) => {
                        patience.after(error).await?;
                        continue 'again;
                    }
                }
            }
            return Ok(OrderState::Validate(validations));
        }
    }

    fn validation(&self, authorization: &AuthorizationHandle<'_>) -> Validation {
        let thumbprint = self.account.key_thumbprint();
        let offers = authorization.challenges.iter().filter_map(|challenge| {
            Some(Offer {
                kind: ChallengeKind::of(&challenge.r#type)?,
                token: challenge.token.clone(),
                key_authorization: format!("{}.{thumbprint}", challenge.token),
            })
        });
        let is_told = authorization
            .challenges
            .iter()
            .any(|challenge| challenge.status != ChallengeStatus::Pending || self.was_told(&challenge.url));
        let state = match authorization.status {
            AuthorizationStatus::Valid => ValidationState::Valid,
            _ if is_told => ValidationState::Told,
            _ => ValidationState::Wanted,
        };
        Validation {
            name: authorization.identifier().to_string(),
            state,
            offers: offers.collect(),
        }
    }

    /// Why an order is invalid: the challenge that failed knows best, the order itself often says nothing.
    pub(super) async fn failure(&self, order: &mut Order) -> Result<OrderState, AcmeError> {
        let of_order = order.state().error.clone().map(Problem::from);
        let mut patience = Patience::new(Repeat::Anything);
        let of_challenge = 'again: loop {
            let mut authorizations = order.authorizations();
            while let Some(next) = authorizations.next().await {
                let authorization = match next {
                    Ok(authorization) => authorization,
                    Err(error) => {
                        patience.after(error).await?;
                        continue 'again;
                    }
                };
                let mut errors = authorization
                    .challenges
                    .iter()
                    .filter_map(|challenge| challenge.error.as_ref());
                if let Some(error) = errors.next() {
                    let name = authorization.identifier().to_string();
                    break 'again Some(Problem::from(error.clone()).of_name(&name));
                }
            }
            break None;
        };
        let problem = of_challenge.or(of_order).unwrap_or_else(Problem::unexplained);
        Ok(OrderState::Failed(problem))
    }
}
