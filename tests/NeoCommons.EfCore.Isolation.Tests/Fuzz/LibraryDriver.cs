using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>The library as an application uses it: registration, the context factory, raw connections; nothing internal.</summary>
internal sealed class LibraryDriver : IFuzzDriver
{
    public const string Connection = "fuzz";

    private const int ServerConnections = 3;

    private readonly ServiceProvider _services;
    private readonly ITenantDbContextFactory<CanaryContext> _contexts;
    private readonly IDatabaseConnections _connections;
    private readonly FuzzCase _case;

    private readonly PgBouncerServer? _pooler;
    private readonly CancellationTokenSource _over = new();
    private readonly Task _keepingRunning;

    private LibraryDriver(FuzzDatabase database, FuzzCase fuzz, PgBouncerServer? pooler)
    {
        _pooler = pooler;
        _keepingRunning = pooler is null ? Task.CompletedTask : KeepRunningAsync(pooler, _over.Token);
        _case = fuzz;
        var row = new DatabaseConnection
        {
            Name = Connection,
            Host = pooler?.Host ?? database.Server.Host,
            Port = pooler?.Port ?? database.Server.Port,
            Pooler = pooler is null ? PoolerMode.None : PoolerMode.Transaction,
            Database = database.Name,
            Username = database.Server.Username,
            Password = Secret.FromText(database.Server.Password),
            SslMode = SslMode.Disable,
            MinPoolSize = 0,
            MaxPoolSize = fuzz.PoolSize,
            PrePing = fuzz.PrePing,
        };
        var settings = new Dictionary<string, string?>
        {
            ["NeoCommons:Connections:SessionReset"] = fuzz.Reset.ToString(),
            ["NeoCommons:Connections:BindWithFirstCommand"] = fuzz.Prepend.ToString(),
            ["NeoCommons:Connections:MaxPreparedStatements"] = $"{fuzz.Prepared}",
            ["NeoCommons:Connections:TenantRoles"] = fuzz.TenantRoles.ToString(),
            // Whoever opens a connection himself is refused at his tenant's limit, and here each is to have his turn.
            ["NeoCommons:Connections:Quotas:TenantConnectionShare"] = "1",
            ["NeoCommons:Connections:PrePingAfter"] = "00:00:00.005",
        };
        var services = new ServiceCollection();
        services.AddSingleton<IConnectionRegistry>(new OneConnection(row));
        services.AddSingleton<ITenantStore>(new KnownTenants(database.Tenants));
        var builder = services.AddNeoCommons(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());
        if (fuzz.PooledContexts)
        {
            builder.AddPooledTenantDbContext<CanaryContext>(Configure);
        }
        else
        {
            builder.AddTenantDbContext<CanaryContext>(Configure);
        }

        _services = services.BuildServiceProvider();
        _contexts = _services.GetRequiredService<ITenantDbContextFactory<CanaryContext>>();
        _connections = _services.GetRequiredService<IDatabaseConnections>();

        void Configure(DbContextOptionsBuilder options)
        {
            options.UseSchemaBinding(fuzz.Binding);
            if (fuzz.Retry)
            {
                options.UseNpgsql(n => n.EnableRetryOnFailure(3, TimeSpan.FromMilliseconds(50), null));
            }
        }
    }

    // Behind a transaction pooler there are no raw connections of a tenant; and what the driver has prepared is its own.
    public Doors Doors =>
        (
            _pooler is not null ? Doors.All & ~(Doors.Raw | Doors.Discard)
            : _case.Prepared > 0 ? Doors.All & ~Doors.Discard
            : Doors.All
        )
        // Refused: the driver's reset is left out.
        & (_pooler is null && _case.Reset == SessionReset.WhenUsed ? ~Doors.Scope : Doors.All);

    public string Table =>
        _case.Binding == SchemaBinding.SearchPath ? FuzzDatabase.Table : $"\"$tenant\".{FuzzDatabase.Table}";

    public bool Retries => _case.Retry;

    public ValueTask<CanaryContext> CreateAsync(Tenant tenant, bool readOnly, int worker, CancellationToken ct) =>
        readOnly
            ? _contexts.CreateReadOnlyDbContextAsync(tenant.Id, ct)
            : _contexts.CreateDbContextAsync(tenant.Id, ct);

    public ValueTask<NpgsqlConnection> OpenAsync(Tenant tenant, CancellationToken ct) =>
        _connections.OpenTenantConnectionAsync(tenant.Id, ct);

    public string TableOutsideEf(Tenant tenant) =>
        _case.Binding == SchemaBinding.SearchPath ? FuzzDatabase.Table : $"{tenant.Schema.Quoted}.{FuzzDatabase.Table}";

    public static async Task<LibraryDriver> StartAsync(FuzzDatabase database, FuzzCase fuzz, CancellationToken ct)
    {
        if (fuzz.TenantRoles)
        {
            await database.CreateRolesAsync(ct);
        }

        if (!fuzz.BehindPooler)
        {
            return new LibraryDriver(database, fuzz, null);
        }

        await database.ScalarAsync(
            $"ALTER ROLE \"{database.Server.Username}\" IN DATABASE \"{database.Name}\" SET search_path = neocommons_no_tenant",
            ct
        );
        var options = new PgBouncerServerOptions
        {
            Settings =
            {
                ["default_pool_size"] = $"{ServerConnections}",
                // Else a backend that is killed while the pooler logs in makes it refuse clients for 15 s.
                ["server_login_retry"] = "0.1",
            },
        };
        return new LibraryDriver(database, fuzz, await PgBouncerServer.StartAsync(database.Server, options, ct));
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await _over.CancelAsync();
        await _keepingRunning;
        _over.Dispose();
        if (_pooler is not null)
        {
            await _pooler.DisposeAsync();
        }
    }

    // As its service manager would: versions before 1.21 end when a cancel request and the death of a backend coincide
    // (pgbouncer#822), and all that was left of the run would be refused.
    private static async Task KeepRunningAsync(PgBouncerServer pooler, CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), ct);
                await pooler.StartAgainAsync(ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested) { }
    }
}
