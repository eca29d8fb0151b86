//! The DNS against servers of our own: who is asked, what is believed, and what becomes of it.

mod authority;
mod challtestsrv;
mod publish;
mod server;
