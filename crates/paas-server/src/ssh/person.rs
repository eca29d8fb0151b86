//! One connection: who it is, and what it asks for.

use std::sync::Arc;

use russh::{
    Channel, ChannelOpenFailure,
    keys::PublicKey,
    server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Reservation, program};
use crate::{platform::Platform, rendezvous::Target};

pub(super) struct Person {
    platform: Arc<Platform>,
    /// Cancelled when they have gone: nothing that waits for them would notice.
    gone: CancellationToken,
    /// Once they have shown their key.
    reservation: Option<Arc<Reservation>>,
    introduce: Option<oneshot::Sender<Arc<Reservation>>>,
}

impl Person {
    pub(super) fn new(
        platform: Arc<Platform>,
        introduce: oneshot::Sender<Arc<Reservation>>,
        gone: CancellationToken,
    ) -> Self {
        Self {
            platform,
            gone,
            reservation: None,
            introduce: Some(introduce),
        }
    }

    fn find(&self, user: &str, key: &PublicKey) -> Option<Arc<Reservation>> {
        self.platform.ssh.find(user, key)
    }

    /// Runs what they asked for until they have gone.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.gone.clone().run_until_cancelled_owned(task);
        self.platform.tracker.spawn(task);
    }

    /// What has been asked for may begin, in a task of its own; `None` when it may not.
    async fn admit(&self, reply: ChannelOpenHandle) -> Option<program::Admission> {
        let reservation = self.reservation.clone()?;
        let Ok(place) = Arc::clone(&reservation.channels).try_acquire_owned() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return None;
        };
        reply.accept().await;
        Some(program::Admission {
            platform: Arc::clone(&self.platform),
            reservation,
            place,
        })
    }
}

impl Handler for Person {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(match self.find(user, offer.public_key) {
            Some(_) => Auth::Accept,
            None => Auth::reject(),
        })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let Some(reservation) = self.find(user, key.public_key) else {
            return Ok(Auth::reject());
        };
        if let Some(introduce) = self.introduce.take() {
            // Nobody waits any longer when the connection is being closed.
            let _ = introduce.send(Arc::clone(&reservation));
        }
        self.reservation = Some(reservation);
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(admission) = self.admit(reply).await {
            self.spawn(program::serve(admission, channel, session.handle()));
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host_to_connect: &str,
        port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Ok(port) = u16::try_from(port_to_connect) else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        let target = Target {
            host: host_to_connect.to_owned(),
            port,
        };
        if let Some(admission) = self.admit(reply).await {
            self.spawn(program::forward(admission, channel, target));
        }
        Ok(())
    }
}
