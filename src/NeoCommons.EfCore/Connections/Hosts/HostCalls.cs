using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What the driver's data sources of several servers call back.</summary>
/// <remarks>
/// The driver keeps what such a data source is made of for ever, its configuration too (Npgsql 10.0.3: disposing it does not dispose
/// the sources of its hosts, and their metrics are in a static list). So it is let go of here when the pool ends.
/// </remarks>
internal sealed class HostCalls(PasswordProvider password, HostGuard guard)
{
    private volatile Tuple<PasswordProvider, HostGuard>? _pool = new(password, guard);

    private Tuple<PasswordProvider, HostGuard> Pool => _pool ?? throw new ObjectDisposedException(nameof(HostPools));

    public ValueTask<string> AskPasswordAsync(HostAddress host, bool async, CancellationToken ct) =>
        Pool.Item1(host, async, ct);

    public void Admit(NpgsqlConnection opened) => Pool.Item2.Admit(opened);

    public Task AdmitAsync(NpgsqlConnection opened) => Pool.Item2.AdmitAsync(opened);

    /// <summary>Lets go of the pool.</summary>
    public void Cut() => _pool = null;
}
