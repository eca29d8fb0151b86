//! The verbs for what an app answers to, and how: domains, certificates, features, routing.

use clap::Subcommand;

use crate::{
    acm, app_context::Context, app_feature, certificate_request, domain, error::Result, routing, sni_endpoint,
};

#[derive(Debug, Subcommand)]
pub(super) enum NameVerb {
    /// List the domains of an app
    Domains(domain::ListArgs),
    /// Add a domain to an app, and say which DNS record to create
    #[command(name = "domains:add")]
    DomainsAdd(domain::AddArgs),
    /// Wait until a domain leads here and has its certificate
    #[command(name = "domains:wait")]
    DomainsWait(domain::WaitArgs),
    /// Show a domain
    #[command(name = "domains:info")]
    DomainsInfo(domain::InfoArgs),
    /// Choose the certificate of a domain
    #[command(name = "domains:update")]
    DomainsUpdate(domain::UpdateArgs),
    /// Remove a domain from an app
    #[command(name = "domains:remove")]
    DomainsRemove(domain::RemoveArgs),
    /// Remove all domains from an app
    #[command(name = "domains:clear")]
    DomainsClear(domain::ClearArgs),
    /// List the certificates of an app
    Certs(sni_endpoint::ListArgs),
    /// Upload a certificate with its key
    #[command(name = "certs:add")]
    CertsAdd(sni_endpoint::AddArgs),
    /// Put another certificate and key in the place of one
    #[command(name = "certs:update")]
    CertsUpdate(sni_endpoint::UpdateArgs),
    /// Make a key and a request for a certificate, or a certificate that signs itself
    #[command(name = "certs:generate")]
    CertsGenerate(certificate_request::GenerateArgs),
    /// Show a certificate
    #[command(name = "certs:info")]
    CertsInfo(sni_endpoint::InfoArgs),
    /// Remove an uploaded certificate
    #[command(name = "certs:remove")]
    CertsRemove(sni_endpoint::RemoveArgs),
    /// Show how the certificates are doing that come by themselves
    #[command(name = "certs:auto")]
    CertsAuto(acm::ShowArgs),
    /// Let certificates come by themselves
    #[command(name = "certs:auto:enable")]
    CertsAutoEnable(acm::EnableArgs),
    /// Let no more certificates come by themselves
    #[command(name = "certs:auto:disable")]
    CertsAutoDisable(acm::DisableArgs),
    /// Try again at once what waits or has failed
    #[command(name = "certs:auto:refresh")]
    CertsAutoRefresh(acm::RefreshArgs),
    /// List what can be switched on for an app
    Features(app_feature::ListArgs),
    /// Show a feature
    #[command(name = "features:info")]
    FeaturesInfo(app_feature::InfoArgs),
    /// Switch a feature on
    #[command(name = "features:enable")]
    FeaturesEnable(app_feature::SwitchArgs),
    /// Switch a feature off
    #[command(name = "features:disable")]
    FeaturesDisable(app_feature::SwitchArgs),
    /// List what is experimental, of an account and of an app
    Labs(app_feature::LabsArgs),
    /// Show an experimental feature
    #[command(name = "labs:info")]
    LabsInfo(app_feature::LabsInfoArgs),
    /// Switch an experimental feature on
    #[command(name = "labs:enable")]
    LabsEnable(app_feature::LabsSwitchArgs),
    /// Switch an experimental feature off
    #[command(name = "labs:disable")]
    LabsDisable(app_feature::LabsSwitchArgs),
    /// Show how an app's requests are treated
    Routing(routing::ShowArgs),
    /// Change time limits, redirects, affinity and sleep
    #[command(name = "routing:set")]
    RoutingSet(routing::SetArgs),
    /// Go back to Heroku's rules
    #[command(name = "routing:unset")]
    RoutingUnset(routing::UnsetArgs),
}

pub(super) fn dispatch(verb: &NameVerb, context: &Context) -> Result<()> {
    match verb {
        NameVerb::Domains(args) => domain::list(args, context),
        NameVerb::DomainsAdd(args) => domain::add(args, context),
        NameVerb::DomainsWait(args) => domain::wait(args, context),
        NameVerb::DomainsInfo(args) => domain::info(args, context),
        NameVerb::DomainsUpdate(args) => domain::update(args, context),
        NameVerb::DomainsRemove(args) => domain::remove(args, context),
        NameVerb::DomainsClear(args) => domain::clear(args, context),
        NameVerb::Certs(args) => sni_endpoint::list(args, context),
        NameVerb::CertsAdd(args) => sni_endpoint::add(args, context),
        NameVerb::CertsUpdate(args) => sni_endpoint::update(args, context),
        NameVerb::CertsGenerate(args) => certificate_request::generate(args, context),
        NameVerb::CertsInfo(args) => sni_endpoint::info(args, context),
        NameVerb::CertsRemove(args) => sni_endpoint::remove(args, context),
        NameVerb::CertsAuto(args) => acm::show(args, context),
        NameVerb::CertsAutoEnable(args) => acm::enable(args, context),
        NameVerb::CertsAutoDisable(args) => acm::disable(args, context),
        NameVerb::CertsAutoRefresh(args) => acm::refresh(args, context),
        NameVerb::Features(args) => app_feature::list(args, context),
        NameVerb::FeaturesInfo(args) => app_feature::info(args, context),
        NameVerb::FeaturesEnable(args) => app_feature::enable(args, context),
        NameVerb::FeaturesDisable(args) => app_feature::disable(args, context),
        NameVerb::Labs(args) => app_feature::list_labs(args, context),
        NameVerb::LabsInfo(args) => app_feature::info_of_lab(args, context),
        NameVerb::LabsEnable(args) => app_feature::enable_lab(args, context),
        NameVerb::LabsDisable(args) => app_feature::disable_lab(args, context),
        NameVerb::Routing(args) => routing::show(args, context),
        NameVerb::RoutingSet(args) => routing::set(args, context),
        NameVerb::RoutingUnset(args) => routing::unset(args, context),
    }
}
