using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What is known of the catalogs of the databases in use: looked at now and then, since counting takes a while.</summary>
internal sealed class CatalogPressures
{
    /// <summary>What counts as a relation, here and where tenants are placed: TOAST tables and PostgreSQL's own do not.</summary>
    public const string CountRelations = """
        SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        """;

    private const string Count = $"""
        SELECT (SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
            ({CountRelations}),
            pg_catalog.pg_total_relation_size('pg_catalog.pg_class') + pg_catalog.pg_total_relation_size('pg_catalog.pg_attribute')
        """;

    private readonly ConcurrentDictionary<string, Seen> _seen = new(StringComparer.Ordinal);
    private readonly TimeSpan _interval;
    private readonly TimeProvider _time;
    private readonly ILogger _log;

    public CatalogPressures(
        IOptions<ConnectionHealthOptions> options,
        TimeProvider time,
        ConnectionInstruments instruments,
        ILogger<CatalogPressures> log
    )
    {
        _interval = options.Value.CatalogInterval;
        _time = time;
        _log = log;
        Gauge("schemas", "{schema}", "Schemas, without PostgreSQL's own.", p => p.Schemas);
        Gauge("relations", "{relation}", "Relations, without PostgreSQL's own.", p => p.Relations);
        Gauge("size", "By", "The size of pg_class and pg_attribute with their indexes.", p => p.CatalogBytes);

        void Gauge(string name, string unit, string what, Func<CatalogPressure, long> read) =>
            instruments.Meter.CreateObservableGauge(
                "neocommons.catalog." + name,
                () =>
                    All.Select(seen => new Measurement<long>(
                        read(seen.Value),
                        KeyValuePair.Create<string, object?>(NeoCommonsTelemetry.ConnectionTag, seen.Key)
                    )),
                unit,
                what
            );
    }

    /// <summary>What was counted last; null where nothing was.</summary>
    public CatalogPressure? Find(string connectionName) => _seen.GetValueOrDefault(connectionName)?.Pressure;

    /// <summary>All that was counted, by connection.</summary>
    public IEnumerable<KeyValuePair<string, CatalogPressure>> All
    {
        get
        {
            foreach (var (name, seen) in _seen)
            {
                if (seen.Pressure is { } pressure)
                {
                    yield return KeyValuePair.Create(name, pressure);
                }
            }
        }
    }

    /// <summary>Counts, where the last attempt is old. One that fails, or is cancelled, is logged, and the next is as far away.</summary>
    /// <param name="connectionName">The connection.</param>
    /// <param name="connection">Open, and used for nothing else.</param>
    /// <param name="inTime">Cancelled when there is no more time to count.</param>
    /// <param name="ct">Cancelled where nobody wants to know any more.</param>
    public async ValueTask LookAsync(
        string connectionName,
        NpgsqlConnection connection,
        CancellationToken inTime,
        CancellationToken ct
    )
    {
        _seen.TryGetValue(connectionName, out var last);
        if (last is not null && _time.GetElapsedTime(last.At) < _interval)
        {
            return;
        }

        // Noted before: a catalog that takes too long to count is not to be counted at each look.
        _seen[connectionName] = new Seen(last?.Pressure, _time.GetTimestamp());
        try
        {
            var counted = await CountAsync(connection, inTime).ConfigureAwait(false);
            _seen[connectionName] = new Seen(counted, _time.GetTimestamp());
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            LogMessages.CatalogNotCounted(_log, e, connectionName, _interval.TotalSeconds);
        }
    }

    /// <summary>Forgets the databases of connections that are no more.</summary>
    public void Keep(IReadOnlySet<string> connectionNames)
    {
        foreach (var name in _seen.Keys.Where(name => !connectionNames.Contains(name)))
        {
            _seen.TryRemove(name, out _);
        }
    }

    private static async ValueTask<CatalogPressure> CountAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var command = new NpgsqlCommand(Count, connection);
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return new CatalogPressure
        {
            Schemas = reader.GetInt64(0),
            Relations = reader.GetInt64(1),
            CatalogBytes = reader.GetInt64(2),
        };
    }

    private sealed record Seen(CatalogPressure? Pressure, long At);
}
