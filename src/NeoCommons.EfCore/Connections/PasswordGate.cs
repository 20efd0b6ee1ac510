using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Gives a pool's password to the driver, one physical open after the other, and never again once it was refused.</summary>
/// <remarks>
/// <para>
/// Servers lock a role out that fails too often. Fifty callers whose connections must be opened would fail fifty times, and
/// a password that was good until now may be refused at any moment: so the next one is told the password when the server has
/// answered the one before. What is held up is the handshake's last round trip, and none but physical opens.
/// </para>
/// <para>
/// The driver says only which token, or which thread, an open belongs to. Whoever opens behind our back does not report:
/// the others wait for <see cref="Patience"/> and go on.
/// </para>
/// </remarks>
internal sealed class PasswordGate(TimeSpan backOff, TimeProvider time) : IDisposable
{
    /// <summary>How long one handshake may hold the others up.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private Exchange? _exchange;
    private Refusal? _refusal;

    /// <summary>The password to log in with, when it is this open's turn.</summary>
    /// <param name="row">Reads the row: it may change while the turn is waited for.</param>
    /// <param name="host">The server that asks, where an open may go from one to the next.</param>
    /// <param name="isWatched">Whether all opens report how they ended.</param>
    /// <param name="async">Whether to wait without a thread.</param>
    /// <param name="ct">The token of the open.</param>
    /// <exception cref="ConnectionUnavailableException">The server has refused this password.</exception>
    public async ValueTask<string> AskAsync(
        Func<DatabaseConnection> row,
        HostAddress? host,
        bool isWatched,
        bool async,
        CancellationToken ct
    )
    {
        if (host is { } next && isWatched && Find(async, ct) is { } mine)
        {
            // Still this open's turn: the server before has not taken the password, or was lost.
            ThrowIfRefused(row());
            return mine.TellTo(next);
        }

        if (isWatched)
        {
            // Not in time: whoever has the turn has lost it, and this open is the one to report.
            _ = async
                ? await _turn.WaitAsync(Patience, ct).ConfigureAwait(false)
                : _turn.Wait(Patience, CancellationToken.None);
        }

        var current = row();
        var exchange = new Exchange(current.Password, ct, async ? 0 : Environment.CurrentManagedThreadId);
        if (isWatched)
        {
            Interlocked.Exchange(ref _exchange, exchange);
        }

        try
        {
            ThrowIfRefused(current);
            return host is { } first ? exchange.TellTo(first) : current.Password.Reveal();
        }
        catch
        {
            End(exchange);
            throw;
        }
    }

    /// <exception cref="ConnectionUnavailableException">The server has refused the row's password, not long ago.</exception>
    public void ThrowIfRefused(DatabaseConnection row)
    {
        if (RefusalOf(row) is { } cause)
        {
            throw Explain(cause, row);
        }
    }

    /// <summary>What the caller is told when the server has refused the row's password.</summary>
    public ConnectionUnavailableException Explain(PostgresException e, DatabaseConnection row) =>
        OpenFailure.PasswordRefused(e, row, backOff);

    /// <summary>With what the server has refused the row's password, not long ago; null where it has not.</summary>
    public PostgresException? RefusalOf(DatabaseConnection row) =>
        Volatile.Read(ref _refusal) is { } refusal && IsOf(refusal, row) ? refusal.Cause : null;

    /// <summary>Notes that a connection was opened: where it is a new one, its password is good.</summary>
    public void Accepted(NpgsqlConnection open)
    {
        if (Volatile.Read(ref _exchange) is { } exchange && PhysicalConnection.Of(open).IsNew)
        {
            Volatile.Write(ref _refusal, null);
            End(exchange);
        }
    }

    /// <summary>The password that an open was given, which has not ended yet.</summary>
    /// <returns>Null where none was asked for, since the server refuses the user unseen.</returns>
    public Secret? Given(bool async, CancellationToken ct) => Find(async, ct)?.Password;

    /// <summary>The servers that an open was told the password for, which has not ended yet.</summary>
    public IReadOnlyCollection<HostAddress> Told(bool async, CancellationToken ct) => Find(async, ct)?.Told ?? [];

    /// <summary>Notes that the server has refused a password.</summary>
    public void Refuse(Secret password, PostgresException cause) =>
        Volatile.Write(ref _refusal, new Refusal(password, cause, time.GetTimestamp()));

    /// <summary>Notes that an open has ended without a connection.</summary>
    public void Ended(bool async, CancellationToken ct)
    {
        if (Find(async, ct) is { } exchange)
        {
            End(exchange);
        }
    }

    public void Dispose() => _turn.Dispose();

    private bool IsOf(Refusal refusal, DatabaseConnection row) =>
        refusal.Password.Equals(row.Password) && time.GetElapsedTime(refusal.At) < backOff;

    private Exchange? Find(bool async, CancellationToken ct) =>
        Volatile.Read(ref _exchange) is { } exchange
        && (
            async ? exchange.Thread == 0 && exchange.Token == ct : exchange.Thread == Environment.CurrentManagedThreadId
        )
            ? exchange
            : null;

    // One that has lost its turn gives none back.
    private void End(Exchange exchange)
    {
        if (Interlocked.CompareExchange(ref _exchange, null, exchange) == exchange)
        {
            try
            {
                _turn.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody who had lost his turn gave it back all the same.
            }
        }
    }

    private sealed class Exchange(Secret password, CancellationToken token, int thread)
    {
        private readonly HashSet<HostAddress> _told = [];

        public IReadOnlyCollection<HostAddress> Told => _told;

        public Secret Password => password;

        public CancellationToken Token => token;

        public int Thread => thread;

        /// <summary>The password, once for each server: the driver tries each several times in one open.</summary>
        public string TellTo(HostAddress host) =>
            _told.Add(host) ? password.Reveal() : throw new RefusedBeforeException(host);
    }

    private sealed record Refusal(Secret Password, PostgresException Cause, long At);
}
