//! Syslog over TCP, plain and with TLS: frames on a connection, and never an answer (RFC 6587, RFC 5425).

use std::{io, time::Duration};

use paas_core::{LogLine, syslog_frame};
use paas_store::log_drain::LogDrain;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::error::DrainError;
use crate::outbound::{Connector, Socket, Target};

/// A receiver that takes nothing for this long is dead.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct SyslogLink {
    socket: Option<Box<dyn Socket>>,
}

impl SyslogLink {
    pub(super) async fn deliver(
        &mut self,
        connector: &Connector,
        drain: &LogDrain,
        lines: &[LogLine],
    ) -> Result<(), DrainError> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => connector.connect(&Target::from(&drain.url)).await?,
        };
        let frames: String = lines.iter().map(|line| syslog_frame(line, &drain.token)).collect();
        let write = async {
            socket.write_all(frames.as_bytes()).await?;
            socket.flush().await
        };
        match timeout(WRITE_LIMIT, write).await {
            Ok(Ok(())) => {
                self.socket = Some(socket);
                Ok(())
            }
            Ok(Err(error)) => Err(broken(drain, error)),
            Err(_) => Err(DrainError::Silent {
                place: drain.url.place(),
                limit: WRITE_LIMIT,
            }),
        }
    }

    /// Waits until the receiver closes the connection, while there is nothing to send: what was written into a closed one
    /// would be lost. For ever, without a connection.
    pub(super) async fn closed(&mut self) {
        let Some(socket) = &mut self.socket else {
            return std::future::pending().await;
        };
        let mut ignored = [0; 1024];
        // Whatever it says means nothing.
        while socket.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {}
        self.socket = None;
    }
}

fn broken(drain: &LogDrain, error: io::Error) -> DrainError {
    DrainError::Broken {
        place: drain.url.place(),
        source: error.into(),
    }
}
