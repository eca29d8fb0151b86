use insta::assert_snapshot;

use crate::platform::Paas;

#[test]
#[expect(clippy::too_many_lines, reason = "every verb has a line")]
fn alone_the_command_shows_its_topics() {
    let paas = Paas::new();
    let told = paas.run("");
    assert_snapshot!(told, @r"
    exit: 0
    --- stdout
    Push to deploy, on your own machine.

    Usage: paas COMMAND [-a APP]

    Account
      login               Log in and keep the token in the netrc
      logout              Revoke the token and forget it
      auth:whoami         Print who you are
      auth:token          Print the token in use
      auth:password       Change your password
      auth:2fa            Print whether a login needs a code
      auth:2fa:enable     Let a login need a code of an authenticator app
      auth:2fa:disable    Let the password be enough again
      auth:2fa:generate-recovery-codes Replace the codes that stand in for a lost authenticator app
      keys                List your SSH keys
      keys:add            Upload a public SSH key
      keys:remove         Remove an SSH key
      keys:clear          Remove all SSH keys

    Tokens
      authorizations      List the tokens that you made
      authorizations:create Make a token for a script or a service
      authorizations:info Show a token's description, scope and life
      authorizations:update Describe a token anew, or give it to a client
      authorizations:rotate Put a new token in the place of one
      authorizations:revoke Revoke a token
      sessions            List your logins in browsers
      sessions:destroy    End a login in a browser
      clients             List your OAuth clients
      clients:create      Register a program as an OAuth client
      clients:info        Show an OAuth client
      clients:update      Change an OAuth client's name or address
      clients:rotate      Replace an OAuth client's secret
      clients:destroy     Remove an OAuth client

    Apps
      apps                List your apps
      create              Create an app
      apps:info           Show an app
      apps:rename         Rename an app
      open                Open an app in a browser
      apps:destroy        Destroy an app for good
      apps:diff           Say what two apps differ in
      apps:errors         Say where an app's errors are
      git:remote          Point a git remote of this directory at an app
      git:clone           Clone the repository of an app
      git:credentials     Give git the token: a credential helper

    Config vars
      config              Show the config vars of an app
      config:set          Set config vars and restart the app
      config:get          Print the value of a config var
      config:unset        Remove config vars and restart the app
      config:edit         Change config vars in an editor and restart the app

    Dynos
      ps                  Show the dynos of an app
      ps:scale            Say how many dynos of each process type run
      ps:type             Show the sizes of an app's dynos, or change them
      ps:restart          Restart dynos
      ps:stop             Stop dynos; those that the formation wants start again
      ps:wait             Wait until all dynos run the newest release

    Commands in dynos
      run                 Run a command in a one-off dyno
      run:detached        Run a command in a one-off dyno that talks into the log
      console             Open the app's console
      rake                Run a task of Rake
      ps:exec             Run a program in a dyno that runs
      ps:copy             Copy a file from a dyno
      ps:forward          Forward local ports to a dyno
      ps:socks            Start a SOCKS proxy into a dyno

    Logs
      logs                Show the log of an app
      drains              List the log drains of an app
      drains:add          Send the log of an app on to somewhere else too
      drains:remove       Send it there no more

    Add-ons
      addons              List the add-ons of an app, or of all
      addons:create       Create an add-on, such as a database
      addons:info         Show an add-on
      addons:wait         Wait until an add-on can be used
      addons:attach       Let another app use an add-on
      addons:detach       Take an add-on away from an app
      addons:rename       Rename an add-on
      addons:upgrade      Give an add-on another plan
      addons:expose       Let addresses outside connect to an add-on, or list those
      addons:unexpose     Let nobody outside come to an add-on any more
      addons:destroy      Destroy add-ons with all that is in them
      addons:open         Open the page of an add-on in a browser
      addons:docs         Say where an add-on is explained
      addons:plans        List the plans of a service
      addons:services     List the services that there are
      addons:providers    List the providers of add-ons that run elsewhere
      addons:providers:add Register a provider by its manifest, or take its new one
      addons:providers:remove Forget a provider that has no add-ons

    Databases
      pg:info             Show the Postgres databases of an app
      pg:psql             Talk to a database
      pg:wait             Wait until databases can be used
      pg:promote          Make a database the main one of an app
      pg:copy             Copy a database over another one
      pg:rollback         Put what a database held at a moment into a new one
      pg:upgrade:run      Upgrade a database to a newer version of its server
      pg:upgrade:dryrun   Load a copy of a database into a server of a newer version, to see
      pg:upgrade:prepare  Choose the version of an upgrade, with a dry run
      pg:upgrade:wait     Wait until an upgrade is over
      pg:upgrade:cancel   Cancel an upgrade
      pg:credentials      List the credentials of a database
      pg:credentials:create Make a credential with rights of its own
      pg:credentials:destroy Destroy a credential
      pg:credentials:repair-default Give the default credential back what was its own
      pg:credentials:rotate Give a credential another password
      pg:credentials:url  Show the address of a database, password and all
      pg:pull             Copy a database to one that this machine reaches
      pg:push             Copy a database that this machine reaches into an empty one
      pg:reset            Empty a database
      pg:ps               Show what a database is doing
      pg:kill             Cancel a query
      pg:killall          End all connections
      pg:locks            Show who holds locks
      pg:blocking         Show who waits for whom
      pg:outliers         Show the queries that took longest together
      pg:long-running-queries Show the queries that have run for minutes
      pg:cache-hit        Show how often what is read is in memory
      pg:index-usage      Show how often indexes are used
      pg:extensions       Show the extensions that there are
      pg:settings         Show how a database is set up
      pg:settings:auto-explain Log execution plans of queries
      pg:settings:auto-explain:log-analyze Log plans with their actual run times: every query is measured
      pg:settings:auto-explain:log-buffers Log plans with their use of buffers
      pg:settings:auto-explain:log-format Choose how plans are logged: text, xml, json or yaml
      pg:settings:auto-explain:log-min-duration Log plans of what takes so many milliseconds; -1 is none
      pg:settings:auto-explain:log-nested-statements Log plans of statements inside functions
      pg:settings:auto-explain:log-triggers Log plans with their triggers
      pg:settings:auto-explain:log-verbose Log plans with all details
      pg:settings:log-connections Log who connects to a database
      pg:settings:log-lock-waits Log who waits long for a lock
      pg:settings:log-min-duration-statement Log statements that take so many milliseconds; -1 is none
      pg:settings:log-min-error-statement Log statements that end in an error of this weight
      pg:settings:log-statement Log statements: none, ddl, mod or all
      pg:settings:track-functions Count calls of functions: none, pl or all
      pg:stats-reset      Begin the statistics of a database anew
      pg:diagnose         Look for what is usually wrong
      pg:backups          List the backups of an app's add-ons, and what was restored
      pg:backups:capture  Back up a database, or another add-on
      pg:backups:cancel   Stop a backup or a restore
      pg:backups:delete   Remove a backup
      pg:backups:download Get a backup as a file
      pg:backups:info     Show a backup
      pg:backups:prove    Restore a backup into a scratch server, and count what is there
      pg:backups:restore  Put a backup back
      pg:backups:schedule Back up a database every day at a time
      pg:backups:schedules Show when add-ons are backed up
      pg:backups:unschedule Back up a database no more by itself
      pg:backups:url      Show an address from which a backup can be fetched for an hour
      redis:info          Show the Redis add-ons of an app
      redis:cli           Talk to Redis
      redis:credentials   Show the address of Redis, password and all, or change it
      redis:keyspace-notifications Choose which events Redis tells
      redis:maxmemory     Choose what goes when the memory of Redis is full
      redis:promote       Make a Redis the main one of an app
      redis:stats-reset   Begin the statistics of Redis anew
      redis:timeout       Choose when idle connections to Redis end
      redis:wait          Wait until Redis can be used

    Webhooks
      webhooks            List the webhooks of an app
      webhooks:add        Tell somebody what changes
      webhooks:info       Show a webhook
      webhooks:update     Change what a webhook tells, and whom
      webhooks:remove     Tell no more
      webhooks:deliveries List what was told, and how it went
      webhooks:deliveries:info Show one delivery, and what was told
      webhooks:events     List what there was to tell
      webhooks:events:info Show what was told

    Releases and builds
      releases            List the releases of an app
      releases:info       Show a release
      releases:output     Print what a release command said
      releases:retry      Run the release command of the newest release again
      rollback            Go back to the code and config of an earlier release
      builds              List the builds of an app
      builds:create       Build and release a folder, a tar.gz or what an address has
      builds:info         Show a build
      builds:output       Print what a build said
      builds:cancel       End a build that is under way
      builds:cache:purge  Empty the cache that builds of an app share
      ci                  List the test runs of an app
      ci:run              Run the app's tests on the folder as it is; nothing is released
      ci:info             Print what a test run said, and end as it ended
      ci:cancel           End a test run that is under way

    Buildpacks and stacks
      buildpacks          List the buildpacks that build an app
      buildpacks:set      Choose the buildpack of an app
      buildpacks:add      Add a buildpack to those of an app
      buildpacks:remove   Remove a buildpack from those of an app
      buildpacks:clear    Let builds find out by themselves which buildpack fits
      buildpacks:search   List the buildpacks that there are
      buildpacks:info     Show a buildpack
      stacks              List the stacks, and which one an app runs on
      stack:set           Choose the stack of an app's next build

    Images
      container:login     Let docker push to the platform's registry
      container:push      Build images with docker, and push them
      container:pull      Pull the pushed images of an app with docker
      container:release   Release images that were pushed
      container:rm        Take process types away from an app that runs images
      container:run       Run an image of an app on this machine
      image:deploy        Deploy an image that is built already

    Domains
      domains             List the domains of an app
      domains:add         Add a domain to an app, and say which DNS record to create
      domains:wait        Wait until a domain leads here and has its certificate
      domains:info        Show a domain
      domains:update      Choose the certificate of a domain
      domains:remove      Remove a domain from an app
      domains:clear       Remove all domains from an app

    Certificates
      certs               List the certificates of an app
      certs:add           Upload a certificate with its key
      certs:update        Put another certificate and key in the place of one
      certs:generate      Make a key and a request for a certificate, or a certificate that signs itself
      certs:info          Show a certificate
      certs:remove        Remove an uploaded certificate
      certs:auto          Show how the certificates are doing that come by themselves
      certs:auto:enable   Let certificates come by themselves
      certs:auto:disable  Let no more certificates come by themselves
      certs:auto:refresh  Try again at once what waits or has failed

    Features and routing
      features            List what can be switched on for an app
      features:info       Show a feature
      features:enable     Switch a feature on
      features:disable    Switch a feature off
      labs                List what is experimental, of an account and of an app
      labs:info           Show an experimental feature
      labs:enable         Switch an experimental feature on
      labs:disable        Switch an experimental feature off
      routing             Show how an app's requests are treated
      routing:set         Change time limits, redirects, affinity and sleep
      routing:unset       Go back to Heroku's rules

    Your machine
      local               Start the app on this machine, from its Procfile and .env
      local:run           Run a command on this machine, with the variables of .env
      local:version       Print the version of what `local` runs

    Access and teams
      access              List who has access to an app
      access:add          Give somebody access to an app
      access:update       Change what somebody may do with the app of a team
      access:remove       Take somebody's access to an app away
      teams               List the teams that you are a member of
      teams:create        Make a team, whose first admin you are
      teams:destroy       Remove a team that owns no apps
      members             List the members of a team
      members:add         Add somebody to a team
      members:set         Change what a member of a team is
      members:remove      Remove somebody from a team and from all its apps
      apps:transfer       Give an app to a team, or offer it to somebody
      apps:transfers      List the apps that are offered to you, or by you
      apps:transfers:accept Become the owner of an app that is offered to you
      apps:transfers:decline Decline an app that is offered to you
      apps:transfers:cancel Take an offer back
      apps:lock           Keep members of the team from seeing and joining an app
      apps:unlock         Let members of the team see and join an app again
      apps:join           Add yourself to the app of a team
      apps:leave          Remove yourself from an app

    Maintenance
      maintenance         Print whether an app is in maintenance mode
      maintenance:on      Answer an app's visitors with a maintenance page
      maintenance:off     Let an app's visitors in again

    Platform
      disk                Show what takes room on the platform's disks, to those who run it
      disk:prune          Remove from the platform's disks what nobody needs any more
      regions             List the regions
      heroku              Run Heroku's own command against this platform, such as `paas heroku -- apps`
      completion          Print a completion script for a shell
      version             Print the version of this command
      help                Say what there is, or how to use one command

    Run `paas help COMMAND` for the flags of a command. The app is the one of `-a APP`, of PAAS_APP, or of the git
    remote `paas` of the current directory. PAAS_URL says where the platform's API answers.
    ");
    assert_eq!(paas.run("help"), told);
    assert_eq!(paas.run("--help"), told);
}

#[test]
fn help_shows_a_verb_and_the_verbs_below_it() {
    let paas = Paas::new();
    assert_snapshot!(paas.run("help maintenance"), @r"
    exit: 0
    --- stdout
    Print whether an app is in maintenance mode

    Usage: paas maintenance [OPTIONS]

    Options:
      -a, --app <APP>        The app to act on
          --url <URL>        Where the platform's API answers, instead of `PAAS_URL`
      -r, --remote <REMOTE>  The git remote that leads to the app
          --json             Print the mode as JSON
      -h, --help             Print help

    Commands:
      maintenance:on      Answer an app's visitors with a maintenance page
      maintenance:off     Let an app's visitors in again
    ");
    assert_snapshot!(paas.run("help auth"), @r"
    exit: 0
    --- stdout
    Commands:
      auth:whoami         Print who you are
      auth:token          Print the token in use
      auth:password       Change your password
      auth:2fa            Print whether a login needs a code
      auth:2fa:enable     Let a login need a code of an authenticator app
      auth:2fa:disable    Let the password be enough again
      auth:2fa:generate-recovery-codes Replace the codes that stand in for a lost authenticator app
    ");
    assert_snapshot!(paas.run("help nope"), @r"
    exit: 2
    --- stderr
     !    There is no command nope

    hint: run `paas help` to see the commands
    ");
}

#[test]
fn the_version_is_one_line() {
    let paas = Paas::new();
    let told = format!("exit: 0\n--- stdout\npaas {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(paas.run("version"), told);
    assert_eq!(paas.run("--version"), told);
}
