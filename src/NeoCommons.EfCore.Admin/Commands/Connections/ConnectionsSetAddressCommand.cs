using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>connections set-address</c></summary>
internal sealed class ConnectionsSetAddressCommand : ConsoleCommand
{
    private readonly Argument<string> _name = new("name") { Description = "The connection." };
    private readonly Option<string?> _host = new("--host") { Description = "The server." };
    private readonly Option<int?> _port = new("--port") { CustomParser = given => ReadPort(given) };
    private readonly Option<string?> _database = new("--database") { Description = "The database." };
    private readonly Option<string?> _username = new("--username") { Description = "The role to log in as." };
    private readonly Option<string?> _replicaHosts = new("--replica-hosts")
    {
        Description = "Further servers of the same data, between commas; an empty text for none.",
        HelpName = "HOSTS",
    };
    private readonly Option<string?> _failover = new("--failover")
    {
        Description = "The connection that is used while this one fails; an empty text for none.",
        HelpName = "NAME",
    };
    private readonly Option<bool?> _failoverWrites = new("--failover-writes")
    {
        Description = "Whether the failover connection is written to: true or false.",
    };
    private readonly Option<string?> _passwordEnv = new("--password-env")
    {
        Description = "The environment variable that holds another password. Without it the stored one is kept.",
        HelpName = "VARIABLE",
    };
    private readonly Option<bool> _noTest = new("--no-test") { Description = "Do not open a connection first." };
    private readonly Option<bool> _dryRun = NewDryRun();

    public ConnectionsSetAddressCommand()
        : base(
            "set-address",
            "Moves a connection to another host, port, database or user, or changes its further hosts, after a trial."
        )
    {
        Arguments.Add(_name);
        foreach (var option in (Option[])[.. Changes, _passwordEnv, _noTest, _dryRun])
        {
            Options.Add(option);
        }
    }

    private Option[] Changes => [_host, _port, _database, _username, _replicaHosts, _failover, _failoverWrites];

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        if (!Changes.Any(run.IsGiven))
        {
            throw new CommandFailedException(
                ExitCode.Usage,
                "Say what is to change: --host, --port, --database, --username, --replica-hosts, --failover or --failover-writes. Another "
                    + "password alone is stored by: connections set-password."
            );
        }

        var name = run.Required(_name);
        var row =
            await run.Get<IConnectionRegistry>().FindAsync(name, ct).ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(name);
        var password = run.Value(_passwordEnv) is { } variable
            ? await run.ReadPasswordAsync(variable, "", ct).ConfigureAwait(false)
            : row.Password.Reveal();
        var moved = row with
        {
            Host = run.Value(_host) ?? row.Host,
            Port = run.Value(_port) ?? row.Port,
            Database = run.Value(_database) ?? row.Database,
            Username = run.Value(_username) ?? row.Username,
            ReplicaHosts = run.IsGiven(_replicaHosts) ? ReplicaHosts.Parse(run.Value(_replicaHosts)) : row.ReplicaHosts,
            FailoverConnection = Failover(run, row),
            FailoverWrites = run.Value(_failoverWrites) ?? (Failover(run, row) is not null && row.FailoverWrites),
            Password = Secret.FromText(password),
        };
        ConnectionRows.RefuseFaults(run, moved);
        var (from, to) = (SecretTarget.Of(row), SecretTarget.Of(moved));
        var tried = !run.Value(_noTest);
        if (tried)
        {
            var trial = run.Get<ConnectionTrial>();
            await (
                run.IsGiven(_passwordEnv) ? trial.RunAsync(moved, password, ct) : trial.RunAsync(moved, ct)
            ).ConfigureAwait(false);
        }

        var dryRun = run.Value(_dryRun);
        var replicas = ConnectionRows.HostsOf(moved.ReplicaHosts.ToString());
        var token = await run.Get<ISecretProtector>().ProtectAsync(password, to, ct).ConfigureAwait(false);
        await ConnectionRows
            .UpdateAtAsync(
                run,
                name,
                from,
                set =>
                    set.SetProperty(c => c.Host, to.Host)
                        .SetProperty(c => c.Port, to.Port)
                        .SetProperty(c => c.DatabaseName, to.Database)
                        .SetProperty(c => c.Username, to.Username)
                        .SetProperty(c => c.EncryptedPassword, token)
                        .SetProperty(c => c.ReplicaHosts, replicas)
                        .SetProperty(c => c.FailoverConnection, moved.FailoverConnection)
                        .SetProperty(c => c.FailoverWrites, moved.FailoverWrites),
                dryRun,
                ct
            )
            .ConfigureAwait(false);

        return new CommandResult(
            new
            {
                Connection = name,
                DryRun = dryRun,
                Tried = tried,
                From = from.ToString(),
                To = to.ToString(),
                moved.ReplicaHosts,
                moved.FailoverConnection,
                moved.FailoverWrites,
            },
            output =>
                output.Line(
                    $"Connection '{name}' {(dryRun ? "would lead" : "leads")} to {to}"
                        + (replicas is null ? "" : $" with {replicas}")
                        + (from == to ? "." : $", no longer to {from}.")
                        + FailoverOf(moved)
                        + (dryRun ? " Nothing was changed." : "")
                )
        );
    }

    private static string FailoverOf(DatabaseConnection row) =>
        row.FailoverConnection is not { } failover
            ? ""
            : $" While it fails, '{failover}' is used, for {(row.FailoverWrites ? "reads and writes" : "reads only")}.";

    private string? Failover(CommandRun run, DatabaseConnection row) =>
        !run.IsGiven(_failover) ? row.FailoverConnection
        : run.Value(_failover) is { Length: > 0 } name ? name
        : null;
}
