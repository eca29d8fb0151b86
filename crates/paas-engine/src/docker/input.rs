//! What we send, watched: when it breaks off, Docker's complaint is not the reason.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use crate::{ByteStream, EngineError, Result};

/// Where the first error of a stream is kept.
#[derive(Clone, Default)]
pub(super) struct Watched(Arc<Mutex<Option<io::Error>>>);

impl Watched {
    /// The stream as it is; an error in it also ends it.
    pub(super) fn watch(&self, stream: ByteStream) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let slot = Arc::clone(&self.0);
        stream.map(move |part| {
            part.map_err(|error| {
                let told = io::Error::new(error.kind(), "the input broke off");
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                told
            })
        })
    }

    /// The result, unless the input was the reason that it is none.
    pub(super) fn blame<T>(&self, result: Result<T>, doing: &'static str) -> Result<T> {
        let error = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match error {
            Some(source) => Err(EngineError::Input { doing, source }),
            None => result,
        }
    }
}
