using System.CommandLine;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>connections add</c></summary>
internal sealed class ConnectionsAddCommand : ConsoleCommand
{
    private readonly Argument<string> _name = new("name") { Description = "The unique name of the connection." };
    private readonly Option<string> _host = new("--host") { Description = "The server.", Required = true };
    private readonly Option<int> _port = new("--port")
    {
        DefaultValueFactory = _ => NpgsqlConnection.DefaultPort,
        CustomParser = ReadPort,
    };
    private readonly Option<string> _database = new("--database") { Description = "The database.", Required = true };
    private readonly Option<string> _username = new("--username")
    {
        Description = "The role to log in as.",
        Required = true,
    };
    private readonly Option<string?> _passwordEnv = NewPasswordEnv();
    private readonly Option<string> _type = Word("--type", "shared", "shared", "dedicated", "analytics", "admin");
    private readonly Option<string?> _region = new("--region") { Description = "The region." };
    private readonly Option<string> _sslMode = Word(
        "--ssl-mode",
        "require",
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full"
    );
    private readonly Option<string> _pooler = Word("--pooler", "none", "none", "session", "transaction");
    private readonly Option<int> _minPool = new("--min-pool")
    {
        DefaultValueFactory = _ => 5,
        CustomParser = given => OptionValue.Read<int>(given, "a whole number"),
    };
    private readonly Option<int> _maxPool = new("--max-pool")
    {
        DefaultValueFactory = _ => 20,
        CustomParser = given => OptionValue.Read<int>(given, "a whole number"),
    };
    private readonly Option<string?> _replicaHosts = new("--replica-hosts")
    {
        Description = "Further servers of the same data, between commas: host or host:port.",
        HelpName = "HOSTS",
    };
    private readonly Option<string?> _failover = new("--failover")
    {
        Description = "The connection, without tenants, that is used while this one fails.",
        HelpName = "NAME",
    };
    private readonly Option<bool> _failoverWrites = new("--failover-writes")
    {
        Description = "Write to the failover connection too.",
    };
    private readonly Option<bool> _noTest = new("--no-test") { Description = "Do not open a connection first." };
    private readonly Option<bool> _dryRun = NewDryRun();

    public ConnectionsAddCommand()
        : base("add", "Registers a database, after a trial; asks for the password, or reads it from stdin.")
    {
        Arguments.Add(_name);
        foreach (
            var option in new Option[]
            {
                _host,
                _port,
                _database,
                _username,
                _passwordEnv,
                _type,
                _region,
                _sslMode,
                _pooler,
                _minPool,
                _maxPool,
                _replicaHosts,
                _failover,
                _failoverWrites,
                _noTest,
                _dryRun,
            }
        )
        {
            Options.Add(option);
        }
    }

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var password = await run.ReadPasswordAsync(run.Value(_passwordEnv), "Password:", ct).ConfigureAwait(false);
        var entity = Describe(run);
        entity.EncryptedPassword = await run.Get<ISecretProtector>()
            .ProtectAsync(password, SecretTarget.Of(entity), ct)
            .ConfigureAwait(false);
        var row = ToConnection(entity, password);
        ConnectionRows.RefuseFaults(run, row);
        var findings = run.Value(_noTest)
            ? null
            : await run.Get<ConnectionTrial>().RunAsync(row, password, ct).ConfigureAwait(false);
        var dryRun = run.Value(_dryRun);
        await SaveAsync(run, entity, dryRun, ct).ConfigureAwait(false);

        return new CommandResult(
            new
            {
                DryRun = dryRun,
                Connection = ConnectionReport.Of(row, run.Get<IOptions<ConnectionOptions>>().Value, 0),
                Findings = findings,
            },
            output =>
                output.Line(
                    (dryRun ? $"Would register '{row.Name}'" : $"Registered '{row.Name}'")
                        + (findings is null ? ", untried." : $": {findings}.")
                        + (dryRun ? " Nothing was changed." : "")
                )
        );
    }

    private static Option<string> Word(string name, string byDefault, params string[] words)
    {
        var option = new Option<string>(name) { DefaultValueFactory = _ => byDefault };
        option.AcceptOnlyFromAmong(words);
        return option;
    }

    private static async Task SaveAsync(
        CommandRun run,
        DatabaseConnectionEntity entity,
        bool dryRun,
        CancellationToken ct
    )
    {
        var context = await run.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        if (dryRun)
        {
            // Nobody commits it: the database checks all that it would.
            await context.Database.BeginTransactionAsync(ct).ConfigureAwait(false);
        }

        context.DatabaseConnections.Add(entity);
        try
        {
            await context.SaveChangesAsync(ct).ConfigureAwait(false);
        }
        catch (DbUpdateException e) when (ConnectionRows.FailoverFault(e.InnerException) is { } fault)
        {
            throw new CommandFailedException(ExitCode.Conflict, fault, e);
        }
        catch (DbUpdateException e)
            when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            throw new CommandFailedException(
                ExitCode.Conflict,
                $"A connection '{entity.ConnectionName}', or another for database '{entity.DatabaseName}' of {entity.Host}:{entity.Port}, "
                    + "is registered. See: connections list.",
                e
            );
        }
    }

    private DatabaseConnectionEntity Describe(CommandRun run) =>
        new()
        {
            ConnectionName = run.Required(_name),
            ConnectionType = DatabaseConnectionMapping.TypeWords.ConvertFromProviderTyped(
                run.Required(_type).ToUpperInvariant()
            ),
            RegionId = run.Value(_region),
            Host = run.Required(_host),
            Port = run.Required(_port),
            DatabaseName = run.Required(_database),
            Username = run.Required(_username),
            EncryptedPassword = "",
            SslMode = DatabaseConnectionMapping.SslModeWords.ConvertFromProviderTyped(run.Required(_sslMode)),
            Pooler = DatabaseConnectionMapping.PoolerWords.ConvertFromProviderTyped(run.Required(_pooler)),
            PoolMinSize = run.Required(_minPool),
            PoolMaxSize = run.Required(_maxPool),
            ReplicaHosts = ConnectionRows.HostsOf(run.Value(_replicaHosts)),
            FailoverConnection = run.Value(_failover),
            FailoverWrites = run.Value(_failoverWrites),
        };

    private static DatabaseConnection ToConnection(DatabaseConnectionEntity entity, string password) =>
        new()
        {
            Name = entity.ConnectionName,
            Type = entity.ConnectionType,
            RegionId = entity.RegionId,
            Host = entity.Host,
            Port = entity.Port,
            Database = entity.DatabaseName,
            Username = entity.Username,
            Password = Secret.FromText(password),
            SslMode = entity.SslMode,
            MinPoolSize = entity.PoolMinSize,
            MaxPoolSize = entity.PoolMaxSize,
            Pooler = entity.Pooler,
            ReplicaHosts = ReplicaHosts.Parse(entity.ReplicaHosts),
            FailoverConnection = entity.FailoverConnection,
            FailoverWrites = entity.FailoverWrites,
        };
}
