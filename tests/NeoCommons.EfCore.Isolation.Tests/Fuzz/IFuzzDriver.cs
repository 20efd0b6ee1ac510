using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>A way to bind a context to a tenant: the library's, or a naive one that the fuzz must see through.</summary>
internal interface IFuzzDriver : IAsyncDisposable
{
    /// <summary>What may be done to it; operations that ask for more are left out.</summary>
    Doors Doors { get; }

    /// <summary>Whether EF executes again what failed, so that a write may have been executed twice.</summary>
    bool Retries { get; }

    /// <summary>Makes a context for the tenant.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="readOnly">Whether it is to refuse writes; only with <see cref="Doors.ReadOnly"/>.</param>
    /// <param name="worker">Who asks: no two calls at a time have the same.</param>
    /// <param name="ct">Cancels.</param>
    ValueTask<CanaryContext> CreateAsync(Tenant tenant, bool readOnly, int worker, CancellationToken ct);

    /// <summary>Opens a connection of the tenant without EF; only with <see cref="Doors.Raw"/>.</summary>
    ValueTask<NpgsqlConnection> OpenAsync(Tenant tenant, CancellationToken ct);

    /// <summary>How raw SQL that EF executes has to call a tenant's table.</summary>
    string Table { get; }

    /// <summary>How SQL that somebody else executes has to call the tenant's table.</summary>
    string TableOutsideEf(Tenant tenant);
}
