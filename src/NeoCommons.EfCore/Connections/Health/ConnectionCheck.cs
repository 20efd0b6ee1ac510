using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>A look of the application at a connection that answers: <see cref="ConnectionHealthOptions.AddCheck"/>.</summary>
/// <param name="connection">An open connection of the pool, bound to no tenant. Do not keep it.</param>
/// <param name="ct">Cancelled when <see cref="ConnectionHealthOptions.Timeout"/> has passed.</param>
/// <returns>How it is. An exception counts as unhealthy; its text is shown to nobody.</returns>
public delegate ValueTask<ConnectionHealthStatus> ConnectionCheck(NpgsqlConnection connection, CancellationToken ct);
