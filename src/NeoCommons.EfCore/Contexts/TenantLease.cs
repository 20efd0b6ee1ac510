using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Which tenant a context belongs to, from its creation to its disposal: a service of the context's own scope.</summary>
internal sealed class TenantLease : IResettableService, IDisposable
{
    private PooledDataSource? _source;
    private ConnectionOpening? _opening;
    private string? _bind;
    private NpgsqlConnection? _connection;
    private PhysicalConnection? _physical;

    /// <summary>The tenant, or null for a context that was made without one, at design time for instance.</summary>
    public Tenant? Tenant { get; private set; }

    public bool IsReadOnly { get; private set; }

    /// <summary>Gives the context its tenant and its connection, and takes over the source's lease.</summary>
    public void Begin(
        DbContext context,
        Tenant tenant,
        PooledDataSource source,
        string bind,
        bool readOnly,
        ConnectionOpening opening
    )
    {
        _connection = source.Source.CreateConnection();
        context.Database.SetDbConnection(_connection, contextOwnsConnection: true);
        Tenant = tenant;
        IsReadOnly = readOnly;
        _bind = bind;
        _opening = opening;
        _source = source;
    }

    /// <summary>Opens the context's connection, bound to the tenant.</summary>
    /// <exception cref="TenantIsolationException">The context has no tenant, or this is not its connection.</exception>
    public async ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct)
    {
        if (_source is not { } source)
        {
            throw new TenantIsolationException(
                "This context has no tenant, so it cannot open a connection. Make contexts with "
                    + "ITenantDbContextFactory<T>, or inject them where ITenantContext has a tenant."
            );
        }

        if (!ReferenceEquals(connection, _connection))
        {
            throw new TenantIsolationException(
                $"The connection of this context was exchanged, and the new one is not bound to tenant '{Tenant!.Slug}'. "
                    + "Make another context instead of calling SetDbConnection.",
                Tenant.Id
            );
        }

        _physical = await _opening!.OpenAsync(_connection, source.Row, _bind, async, ct).ConfigureAwait(false);
    }

    /// <summary>Refuses a command on a connection that this lease has not opened and bound.</summary>
    /// <exception cref="TenantIsolationException">Nothing was executed.</exception>
    public void ThrowIfNotBound(DbConnection? connection)
    {
        if (_physical is null || !ReferenceEquals(connection, _connection))
        {
            throw new TenantIsolationException(
                "The connection of this context was opened or exchanged behind its back, so it is not bound to "
                    + (Tenant is null ? "a tenant" : $"tenant '{Tenant.Slug}'")
                    + ". Let the context open it, with Database.OpenConnectionAsync() where it must stay open.",
                Tenant?.Id
            );
        }
    }

    /// <summary>Notes that the connection went back to the pool.</summary>
    public void Closed()
    {
        if (Interlocked.Exchange(ref _physical, null) is { } physical)
        {
            _opening?.EndUse(physical);
        }
    }

    public void ResetState()
    {
        Closed();
        Interlocked.Exchange(ref _source, null)?.Release();
        _connection = null;
        _opening = null;
        _bind = null;
        Tenant = null;
        IsReadOnly = false;
    }

    public Task ResetStateAsync(CancellationToken cancellationToken = default)
    {
        ResetState();
        return Task.CompletedTask;
    }

    public void Dispose() => ResetState();
}
