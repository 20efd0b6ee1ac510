using System.Data;
using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Which tenant a context belongs to, from its creation to its disposal: a service of the context's own scope.</summary>
internal sealed class TenantLease(IDbContextOptions options) : IResettableService, IDisposable
{
    private readonly bool _hasInterceptors = TenantOptionsExtension.HasInterceptors(options);
    private PooledDataSource? _source;
    private ConnectionOpening? _opening;
    private SearchPath? _searchPath;
    private SessionBinding? _binding;
    private LeaseEnd? _end;
    private LeasedConnection? _leased;
    private PhysicalConnection? _physical;
    private int _tables;
    private readonly ConnectionPermits _permits = new();
    private bool _isOpening;
    private bool _isUnbound;
    private bool _isTouched;
    private LeaseWrites _writes;
    private LeaseProgress _progress;

    public TenantContextSettings Settings { get; } = options.FindExtension<TenantOptionsExtension>()!.Settings;

    /// <summary>The tenant, or null for a context that was made without one, at design time for instance.</summary>
    public Tenant? Tenant { get; private set; }

    private NpgsqlConnection? Connection => _leased?.Current;
    private SessionStatement? Bind => _binding!.Statement(inTransaction: AmbientScope.IsPresent);
    private SessionStatement Nobody => _searchPath!.Nobody.Statement(inTransaction: true)!;

    public bool Enlists => _source is not { OwnsReset: true };
    public bool IsReadOnly => _binding is { IsReadOnly: true };

    /// <summary>Whether the server refuses whatever it writes; behind a transaction pooler only what EF executes.</summary>
    public bool IsHeldReadOnly => IsReadOnly && (_binding!.Prefix is null || !_progress.IsTaken);

    /// <summary>What its commands have written.</summary>
    public ref LeaseProgress Progress => ref _progress;

    /// <summary>Gives the context its tenant and its connection, and takes over the source's lease.</summary>
    /// <exception cref="TenantIsolationException">The connection's pooler keeps no search path.</exception>
    public void Begin(
        DbContext context,
        int tables,
        Tenant tenant,
        PooledDataSource source,
        SearchPath searchPath,
        bool readOnly,
        ConnectionOpening opening
    )
    {
        (_end ??= context.GetService<LeaseEnd>()).Begin();
        _binding = LeaseBinding.For(context, Settings, tenant, source.Row, searchPath, readOnly);
        _leased ??= new LeasedConnection(OnStateChange);
        _permits.Limiter = source.Tenants.Enter(tenant, source.Row);
        var pool = _permits.Choose(source, readOnly);
        _end.Lead(_leased.Of(pool));
        Tenant = tenant;
        _searchPath = searchPath;
        _opening = opening;
        _source = source;
        _tables = tables;
        _isTouched = readOnly || _hasInterceptors;
    }

    /// <summary>Notes that what is not EF's own runs there from now on: the connection is reset before its next lease, and bound again before each of EF's commands.</summary>
    public void Touch()
    {
        _isTouched = true;
        if (_physical is { } physical && _source is { OwnsReset: true })
        {
            physical.NeedsReset = true;
        }

        NoteWrite();
    }

    /// <summary>Notes that the application takes the connection, and binds it again if a scope that has ended bound it.</summary>
    public void Take()
    {
        Touch();
        _progress.Take(_end?.Transaction);
        if (IsScopeOver)
        {
            // Not async: the task has completed, and its exception is rethrown.
            KeepBoundAsync(async: false, CancellationToken.None).GetAwaiter().GetResult();
        }
    }

    /// <summary>Opens the context's connection, bound to the tenant.</summary>
    /// <exception cref="TenantIsolationException">The context has no tenant, or this is not its connection.</exception>
    public async ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct)
    {
        ThrowIfUnbound();
        _source!.ThrowIfInScope(Tenant!.Id);
        if (!_leased!.Is(connection))
        {
            throw LeaseRefusal.Exchanged(Tenant!);
        }

        _isOpening = true;
        try
        {
            _physical = await _opening!
                .OpenAsync(Connection!, _source!, _permits, Bind, async, ct, Tenant.Id)
                .ConfigureAwait(false);
            _opening.Visit(_physical, _source!, Tenant!.Schema, _tables);
            if (_isTouched)
            {
                Touch();
            }
        }
        finally
        {
            _isOpening = false;
            _writes.EndUnless(_physical is not null);
        }
    }

    /// <summary>Before the connection is closed: takes the search path off in a scope, where the driver hands it on; notes a reset that was sent.</summary>
    public async ValueTask CloseAsync(bool async)
    {
        if (_physical is not { } physical || _isUnbound || Connection!.State != ConnectionState.Open)
        {
            return;
        }

        if (!_isTouched && FirstCommand.IsSent(Connection))
        {
            physical.HasBeenReset(_binding!.StaysInSession, _binding.HasTimeout);
        }

        if (AmbientScope.IsPresent)
        {
            await Unbinding.OfAsync(Connection, Nobody, async).ConfigureAwait(false);
            _isUnbound = true;
        }
    }

    /// <summary>Whether the next command needs a bind before it that cannot travel with it.</summary>
    public bool BindsApart => NeedsBind && (IsBusy || !_opening!.CanPrepend(Again!));

    // Whoever still reads from it would take the answer for his own; the driver refuses what is executed.
    private bool IsBusy => Connection!.FullState != ConnectionState.Open;

    private bool NeedsBind => _physical is not null && (_isTouched || IsScopeOver) && Again is not null;

    // What a scope's bind has set ends with the scope, and an open connection may outlive it.
    private bool IsScopeOver => _physical is { Scope: { } scope } && AmbientScope.IsOver(scope);

    // A connection that was open before the scope is not yet part of it when EF makes its first command there.
    private SessionStatement? Again =>
        _binding!.Statement(inTransaction: _physical is { Scope: not null } && !IsScopeOver);

    /// <summary>Binds the open connection again, in a round trip of its own.</summary>
    public ValueTask BindApartAsync(bool async, CancellationToken ct) =>
        _opening!.BindAgainAsync(Connection!, Again!, async, ct);

    /// <summary>Binds a connection again that has been open, before the application uses it.</summary>
    public ValueTask KeepBoundAsync(bool async, CancellationToken ct) =>
        !NeedsBind || IsBusy || _opening!.TryPrepend(Connection!, Again)
            ? ValueTask.CompletedTask
            : BindApartAsync(async, ct);

    /// <summary>Lets EF execute a command, with the tenant's schema in its SQL, which may be foreign: not EF's own.</summary>
    /// <exception cref="TenantIsolationException">It is not on the connection that this lease binds.</exception>
    public void Pass(DbCommand command, CommandKind kind, IDbContextTransaction? transaction)
    {
        var isForeign = kind is CommandKind.ForeignQuery or CommandKind.Foreign;
        _progress.Note(transaction, writes: kind != CommandKind.Query, mayCommit: kind == CommandKind.Foreign);

        // A connection that is closed is opened by EF next, and bound.
        if (
            !ReferenceEquals(command.Connection, Connection)
            || (_physical is null && Connection?.State != ConnectionState.Closed)
        )
        {
            throw LeaseRefusal.NotBound(Tenant);
        }

        _source!.ThrowIfInScope(Tenant!.Id);
        ThrowIfReplaced();
        _permits.Limiter?.CountCommand(_source.Figures);
        if (isForeign || Settings.Binding == SchemaBinding.QualifiedNames)
        {
            Qualify(command, isForeign);
        }

        // RESET, DISCARD, SET: whatever ran before may have led the session elsewhere.
        if (NeedsBind)
        {
            _opening!.TryPrepend(Connection!, Again);
        }

        if (isForeign)
        {
            Touch();
        }
        else if (kind == CommandKind.Write)
        {
            NoteWrite();
        }
    }

    /// <summary>Gives the application a command of EF, which leads to the connection too.</summary>
    public void HandOut(DbCommand command)
    {
        if (Tenant is not null)
        {
            Qualify(command, isForeign: false);
            Take();
        }
    }

    /// <exception cref="TenantIsolationException">The context has no tenant.</exception>
    public void ThrowIfUnbound()
    {
        if (_source is null)
        {
            throw LeaseRefusal.NoTenant();
        }
    }

    public void ThrowIfReplaced() => _source?.Hosts?.ThrowIfReplaced(_physical);

    private void Qualify(DbCommand command, bool isForeign) =>
        QualifiedSql.Apply(command, Tenant!.Schema, isForeign || IsReadOnly ? _binding!.Prefix : null);

    public void ResetState()
    {
        Closed();

        // Kept for the next lease, unless the application has had it.
        if (_isTouched)
        {
            _leased?.Forget();
        }

        _permits.End();
        Interlocked.Exchange(ref _source, null)?.Release();
        _searchPath = null;
        _opening = null;
        _binding = null;
        _isTouched = false;
        _progress = default;
        Tenant = null;
    }

    public Task ResetStateAsync(CancellationToken cancellationToken = default)
    {
        ResetState();
        return Task.CompletedTask;
    }

    public void Dispose() => ResetState();

    private void OnStateChange(object sender, StateChangeEventArgs change)
    {
        if (change.CurrentState != ConnectionState.Open)
        {
            Closed();
        }
        else if (!_isOpening && _opening is { } opening && _leased!.Is(Connection))
        {
            // Opened by the application, or by Dapper for it.
            _source!.ThrowIfInScope(Tenant!.Id);
            _physical = opening.Bind(Connection!, _source!, _permits, Bind);
            opening.Visit(_physical, _source!, Tenant!.Schema, _tables);
            Touch();
        }
    }

    private void Closed()
    {
        // A connection that is found dead while it is opened is closed for another one, which is to write.
        _writes.EndUnless(_isOpening);
        if (Interlocked.Exchange(ref _physical, null) is not { } physical || _opening is not { } opening)
        {
            return;
        }

        if (physical.Scope is not null && !_isUnbound && AmbientScope.IsPresent)
        {
            // Closed by the application, or by Dapper for it: EF was not asked, and nothing took the path off.
            Unbinding.OfHandedOn(_leased!.Pool!, Nobody);
        }

        _isUnbound = false;
        opening.EndUse(Connection!, physical, _source!, _permits);
    }

    private void NoteWrite() => _writes.Begin(IsReadOnly ? null : _source, Tenant?.Id);
}
