using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Isolation.Tests.Fuzz;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>An application with two tenants on one physical connection, behind a proxy.</summary>
internal sealed class FaultApp : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly NpgsqlConnection _admin;
    private readonly FaultCase _case;

    private FaultApp(FuzzDatabase database, FaultCase fault, NpgsqlConnection admin)
    {
        (Database, _case, _admin) = (database, fault, admin);
        Proxy = TcpFaultProxy.Start(database.Server.Host, database.Server.Port);
        Name = "fault-" + RandomNumberGenerator.GetHexString(8, lowercase: true);
        var row = new DatabaseConnection
        {
            Name = Name,
            Host = Proxy.Host,
            Port = Proxy.Port,
            Database = database.Name,
            Username = database.Server.Username,
            Password = Secret.FromText(database.Server.Password),
            SslMode = SslMode.Disable,
            MinPoolSize = 0,
            MaxPoolSize = 1,
            PoolTimeout = TimeSpan.FromSeconds(fault.Fault == Fault.Silence ? 1 : 10),
            PrePing = fault.PrePing,
        };
        Tenants = [.. database.Tenants.Select(t => t with { ConnectionName = Name })];
        var settings = new Dictionary<string, string?>
        {
            ["NeoCommons:Connections:SessionReset"] = fault.Reset.ToString(),
            ["NeoCommons:Connections:BindWithFirstCommand"] = fault.Prepend.ToString(),
            ["NeoCommons:Connections:PrePingAfter"] = "00:00:00",
            ["NeoCommons:Connections:PrePingTimeout"] = "00:00:01",
            ["NeoCommons:Connections:ApplicationName"] = Name,
            ["NeoCommons:Connections:DrainTimeout"] = "00:00:10",
            // Every fault breaks a connection of one tenant, and the pool is what is looked at.
            ["NeoCommons:Connections:Quotas:TenantMaxBreaks"] = "0",
        };
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(Clock);
        services.AddSingleton<IConnectionRegistry>(new OneConnection(row));
        services.AddSingleton<ITenantStore>(new KnownTenants(Tenants));
        var builder = services
            .AddNeoCommons(new ConfigurationBuilder().AddInMemoryCollection(settings).Build())
            .ConfigureDataSources(s => s.UsePasswordProvider(_ => Password(), (_, _) => new(Password())));
        if (fault.PooledContexts)
        {
            builder.AddPooledTenantDbContext<CanaryContext>(Configure);
        }
        else
        {
            builder.AddTenantDbContext<CanaryContext>(Configure);
        }

        _services = services.BuildServiceProvider();

        void Configure(DbContextOptionsBuilder options)
        {
            options.UseSchemaBinding(fault.Binding);
            options.UseNpgsql(n =>
            {
                if (fault.Retry)
                {
                    n.EnableRetryOnFailure(3, TimeSpan.FromMilliseconds(1), null);
                }

                if (fault.Fault == Fault.Silence)
                {
                    n.CommandTimeout(1);
                }
            });
        }

        string Password()
        {
            OnPassword?.Invoke();
            return database.Server.Password;
        }
    }

    public FuzzDatabase Database { get; }

    public string Name { get; }

    public TcpFaultProxy Proxy { get; }

    public FaultyClock Clock { get; } = new();

    /// <summary>What happens when a password is fetched.</summary>
    public Action? OnPassword { get; set; }

    public IReadOnlyList<Tenant> Tenants { get; }

    public IDatabaseConnections Connections => _services.GetRequiredService<IDatabaseConnections>();

    private ITenantDbContextFactory<CanaryContext> Contexts =>
        _services.GetRequiredService<ITenantDbContextFactory<CanaryContext>>();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<FaultApp> StartAsync(FuzzDatabase database, FaultCase fault)
    {
        // In another database, so that it is not among the sessions that it counts and ends.
        var admin = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(database.Server.ConnectionString) { Pooling = false }.ConnectionString
        );
        await admin.OpenAsync(Ct);
        return new FaultApp(database, fault, admin);
    }

    public ValueTask<CanaryContext> CreateAsync(Tenant tenant, bool readOnly = false) =>
        readOnly ? Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct) : Contexts.CreateDbContextAsync(tenant.Id, Ct);

    /// <summary>The table in SQL that EF does not see, or does not look into.</summary>
    public string TableOf(Tenant tenant) =>
        _case.Binding == SchemaBinding.SearchPath ? FuzzDatabase.Table : $"{tenant.Schema.Quoted}.{FuzzDatabase.Table}";

    /// <summary>Brings the pool into the state that the case asks for.</summary>
    public async Task PreparePoolAsync()
    {
        if (_case.Pool == Pool.New)
        {
            await Connections.CloseAsync(Name);
            return;
        }

        await using var other = await CreateAsync(Tenants[1]);
        _ = await other.Canaries.CountAsync(Ct);
        if (_case.Pool == Pool.Littered)
        {
            await other.Database.ExecuteSqlRawAsync(
                $"""
                SET search_path = {Tenants[1].Schema.Quoted}, public;
                CREATE TEMP TABLE {FuzzDatabase.Table} AS TABLE {Tenants[1].Schema.Quoted}.{FuzzDatabase.Table}
                """,
                Ct
            );
        }
    }

    /// <summary>Ends all sessions of the application, and waits until they are gone.</summary>
    public Task KillAsync() =>
        AskAsync("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = $1");

    /// <summary>How many sessions of the application are at work, or in a transaction.</summary>
    public async Task<long> BusyAsync() =>
        (long)
            (
                await AskAsync(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state IS DISTINCT FROM 'idle'"
                )
            )!;

    public async Task<long> SessionsAsync() =>
        (long)(await AskAsync("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"))!;

    /// <summary>How often anybody has read or written the poisoned table: exact when all sessions have ended.</summary>
    public async Task<long> TouchesOfPublicAsync() =>
        Convert.ToInt64(
            await Database.ScalarAsync(
                "SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del), 0) "
                    + $"FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname = '{FuzzDatabase.Table}'",
                Ct
            )
        );

    public async ValueTask DisposeAsync()
    {
        OnPassword = null;
        Clock.Arm(0, null);
        await _services.DisposeAsync();
        await Proxy.DisposeAsync();
        await _admin.DisposeAsync();
    }

    private async Task<object?> AskAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _admin);
        command.Parameters.Add(new() { Value = Name });
        return await command.ExecuteScalarAsync(Ct);
    }
}
