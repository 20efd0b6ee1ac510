using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>The data sources of several servers for one use, each made when it is asked for.</summary>
/// <remarks>
/// Writers and readers have one each. The driver learns from a session's <c>default_transaction_read_only</c> whether a server takes
/// writes, and sessions that only read set it: among the writers', they would hide the primary.
/// </remarks>
/// <param name="build">Makes one, for reads or not.</param>
internal sealed class HostSources(Func<bool, NpgsqlMultiHostDataSource> build) : IAsyncDisposable, IDisposable
{
    private readonly Lazy<NpgsqlMultiHostDataSource> _writers = new(() => build(false));
    private readonly Lazy<NpgsqlMultiHostDataSource> _readers = new(() => build(true));

    /// <summary>Connections to the primary.</summary>
    public NpgsqlDataSource Writers => _writers.Value.WithTargetSession(TargetSessionAttributes.ReadWrite);

    /// <summary>Connections that only read.</summary>
    /// <param name="atPrimary">Whether at the primary only; else at a standby where there is one.</param>
    public NpgsqlDataSource Readers(bool atPrimary) =>
        _readers.Value.WithTargetSession(
            atPrimary ? TargetSessionAttributes.Primary : TargetSessionAttributes.PreferStandby
        );

    private IEnumerable<NpgsqlMultiHostDataSource> Made =>
        new[] { _writers, _readers }.Where(source => source.IsValueCreated).Select(source => source.Value);

    /// <summary>Closes what is idle, and what is in use when it comes back.</summary>
    public void Clear()
    {
        foreach (var source in Made)
        {
            source.Clear();
        }
    }

    /// <summary>The same of those that only read.</summary>
    public void ClearReaders()
    {
        if (_readers.IsValueCreated)
        {
            _readers.Value.Clear();
        }
    }

    /// <summary>Lets the driver try servers again that it remembers as useless.</summary>
    public void ForgetStates()
    {
        foreach (var source in Made)
        {
            source.ClearDatabaseStates();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var source in Made)
        {
            await source.DisposeAsync().ConfigureAwait(false);
        }
    }

    public void Dispose()
    {
        foreach (var source in Made)
        {
            source.Dispose();
        }
    }
}
