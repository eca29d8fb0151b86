//! The verbs for who somebody is: logins, tokens, keys, the second factor.

use clap::Subcommand;

use crate::{
    account, app_context::Context, authorization, error::Result, key, login, oauth_client, session, two_factor,
};

#[derive(Debug, Subcommand)]
pub(super) enum PeopleVerb {
    /// Log in and keep the token in the netrc
    #[command(alias = "auth:login")]
    Login(login::LoginArgs),
    /// Revoke the token and forget it
    #[command(alias = "auth:logout")]
    Logout,
    /// Print who you are
    #[command(name = "auth:whoami", alias = "whoami")]
    Whoami(account::WhoamiArgs),
    /// Print the token in use
    #[command(name = "auth:token")]
    Token,
    /// Change your password
    #[command(name = "auth:password")]
    Password,
    /// Print whether a login needs a code
    #[command(name = "auth:2fa", aliases = ["2fa", "twofactor"])]
    TwoFactor(two_factor::StatusArgs),
    /// Let a login need a code of an authenticator app
    #[command(name = "auth:2fa:enable", aliases = ["2fa:enable", "twofactor:enable"])]
    TwoFactorEnable,
    /// Let the password be enough again
    #[command(name = "auth:2fa:disable", aliases = ["2fa:disable", "twofactor:disable"])]
    TwoFactorDisable,
    /// Replace the codes that stand in for a lost authenticator app
    #[command(name = "auth:2fa:generate-recovery-codes", aliases = ["2fa:generate-recovery-codes", "twofactor:generate-recovery-codes"])]
    TwoFactorRecoveryCodes,
    /// List the tokens that you made
    Authorizations(authorization::ListArgs),
    /// Make a token for a script or a service
    #[command(name = "authorizations:create")]
    AuthorizationsCreate(authorization::CreateArgs),
    /// Show a token's description, scope and life
    #[command(name = "authorizations:info")]
    AuthorizationsInfo(authorization::InfoArgs),
    /// Describe a token anew, or give it to a client
    #[command(name = "authorizations:update")]
    AuthorizationsUpdate(authorization::UpdateArgs),
    /// Put a new token in the place of one
    #[command(name = "authorizations:rotate")]
    AuthorizationsRotate(authorization::OneArgs),
    /// Revoke a token
    #[command(name = "authorizations:revoke", alias = "authorizations:destroy")]
    AuthorizationsRevoke(authorization::OneArgs),
    /// List your SSH keys
    Keys(key::ListArgs),
    /// Upload a public SSH key
    #[command(name = "keys:add")]
    KeysAdd(key::AddArgs),
    /// Remove an SSH key
    #[command(name = "keys:remove")]
    KeysRemove(key::RemoveArgs),
    /// Remove all SSH keys
    #[command(name = "keys:clear")]
    KeysClear,
    /// List your logins in browsers
    Sessions(session::ListArgs),
    /// End a login in a browser
    #[command(name = "sessions:destroy")]
    SessionsDestroy(session::DestroyArgs),
    /// List your OAuth clients
    Clients(oauth_client::ListArgs),
    /// Register a program as an OAuth client
    #[command(name = "clients:create")]
    ClientsCreate(oauth_client::CreateArgs),
    /// Show an OAuth client
    #[command(name = "clients:info")]
    ClientsInfo(oauth_client::OneArgs),
    /// Change an OAuth client's name or address
    #[command(name = "clients:update")]
    ClientsUpdate(oauth_client::UpdateArgs),
    /// Replace an OAuth client's secret
    #[command(name = "clients:rotate")]
    ClientsRotate(oauth_client::OneArgs),
    /// Remove an OAuth client
    #[command(name = "clients:destroy")]
    ClientsDestroy(oauth_client::DestroyArgs),
}

pub(super) fn dispatch(verb: &PeopleVerb, context: &Context) -> Result<()> {
    match verb {
        PeopleVerb::Login(args) => login::login(args, context),
        PeopleVerb::Logout => login::logout(context),
        PeopleVerb::Whoami(args) => account::whoami(args, context),
        PeopleVerb::Token => login::token(context),
        PeopleVerb::Password => account::change_password(context),
        PeopleVerb::TwoFactor(args) => two_factor::status(args, context),
        PeopleVerb::TwoFactorEnable => two_factor::enable(context),
        PeopleVerb::TwoFactorDisable => two_factor::disable(context),
        PeopleVerb::TwoFactorRecoveryCodes => two_factor::generate_recovery_codes(context),
        PeopleVerb::Authorizations(args) => authorization::list(args, context),
        PeopleVerb::AuthorizationsCreate(args) => authorization::create(args, context),
        PeopleVerb::AuthorizationsInfo(args) => authorization::info(args, context),
        PeopleVerb::AuthorizationsUpdate(args) => authorization::update(args, context),
        PeopleVerb::AuthorizationsRotate(args) => authorization::rotate(args, context),
        PeopleVerb::AuthorizationsRevoke(args) => authorization::revoke(args, context),
        PeopleVerb::Keys(args) => key::list(args, context),
        PeopleVerb::KeysAdd(args) => key::add(args, context),
        PeopleVerb::KeysRemove(args) => key::remove(args, context),
        PeopleVerb::KeysClear => key::clear(context),
        PeopleVerb::Sessions(args) => session::list(args, context),
        PeopleVerb::SessionsDestroy(args) => session::destroy(args, context),
        PeopleVerb::Clients(args) => oauth_client::list(args, context),
        PeopleVerb::ClientsCreate(args) => oauth_client::create(args, context),
        PeopleVerb::ClientsInfo(args) => oauth_client::info(args, context),
        PeopleVerb::ClientsUpdate(args) => oauth_client::update(args, context),
        PeopleVerb::ClientsRotate(args) => oauth_client::rotate(args, context),
        PeopleVerb::ClientsDestroy(args) => oauth_client::destroy(args, context),
    }
}
