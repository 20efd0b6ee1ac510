using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>What one writes first: an interceptor that sets the path when EF has opened the connection.</summary>
/// <remarks>
/// It is asked for nothing but queries, saves and transactions of EF: what a naive binding never promised proves nothing.
/// </remarks>
internal sealed class NaiveDriver : IFuzzDriver
{
    private readonly NpgsqlDataSource _source;
    private readonly NpgsqlConnection[] _shared;

    private NaiveDriver(string connectionString, int poolSize, int sharedConnections)
    {
        _source = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(connectionString)
            {
                Pooling = true,
                MaxPoolSize = Math.Max(poolSize, sharedConnections),
            }.ConnectionString
        );
        _shared = [.. Enumerable.Range(0, sharedConnections).Select(_ => _source.CreateConnection())];
    }

    public Doors Doors => Doors.None;

    public bool Retries => true;

    /// <summary>A pool of its own, and a <c>SET</c> whose failure leaves the connection open.</summary>
    /// <param name="connectionString">Leads to the database, directly or through a pooler.</param>
    /// <param name="poolSize">The pool's size.</param>
    public static NaiveDriver WithInterceptor(string connectionString, int poolSize) =>
        new(connectionString, poolSize, sharedConnections: 0);

    /// <summary>Each worker's contexts, whichever their tenant, use the worker's one connection, and nobody closes it.</summary>
    /// <param name="connectionString">Leads to the database.</param>
    /// <param name="workers">How many workers there are.</param>
    public static NaiveDriver WithSharedConnections(string connectionString, int workers) =>
        new(connectionString, workers, workers);

    public async ValueTask<CanaryContext> CreateAsync(Tenant tenant, bool readOnly, int worker, CancellationToken ct)
    {
        var options = new DbContextOptionsBuilder<CanaryContext>().AddInterceptors(new SetSearchPath(tenant.Schema));
        if (_shared.Length == 0)
        {
            options.UseNpgsql(_source, n => n.EnableRetryOnFailure(3, TimeSpan.FromMilliseconds(50), null));
            return new CanaryContext(options.Options);
        }

        options.UseNpgsql(_shared[worker]);
        var context = new CanaryContext(options.Options);
        await context.Database.OpenConnectionAsync(ct);
        return context;
    }

    public ValueTask<NpgsqlConnection> OpenAsync(Tenant tenant, CancellationToken ct) =>
        throw new NotSupportedException();

    public string Table => FuzzDatabase.Table;

    public string TableOutsideEf(Tenant tenant) => FuzzDatabase.Table;

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _shared)
        {
            await connection.DisposeAsync();
        }

        await _source.DisposeAsync();
    }

    private sealed class SetSearchPath(SchemaName schema) : DbConnectionInterceptor
    {
        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            using var set = Set(connection);
            set.ExecuteNonQuery();
        }

        public override async Task ConnectionOpenedAsync(
            DbConnection connection,
            ConnectionEndEventData eventData,
            CancellationToken cancellationToken = default
        )
        {
            await using var set = Set(connection);
            await set.ExecuteNonQueryAsync(cancellationToken);
        }

        private DbCommand Set(DbConnection connection)
        {
            var command = connection.CreateCommand();
            command.CommandText = $"SET search_path = {schema.Quoted}, pg_temp";
            return command;
        }
    }
}
