namespace NeoCommons.EfCore;

/// <summary>What a lease's commands have written, transaction by transaction: whether doing an operation again does it twice.</summary>
/// <remarks>
/// A command outside of a transaction is one by itself. Where the server says that something was rolled back, it is the
/// transaction of the last command, unless that has ended well, and nothing that was committed before it. SQL of the application outside
/// of one may commit by itself, halfway, and counts as if it had.
/// </remarks>
internal struct LeaseProgress
{
    private object? _transaction;
    private bool _isWriting;
    private int _written;

    /// <summary>Whether the application has had the driver's connection, where what it writes is not seen.</summary>
    public bool IsTaken { get; private set; }

    /// <summary>Notes a command.</summary>
    /// <param name="transaction">EF's transaction that it is part of; null where it is none.</param>
    /// <param name="writes">Whether it may write.</param>
    /// <param name="mayCommit">Whether it may commit by itself what it has written.</param>
    public void Note(object? transaction, bool writes, bool mayCommit = false)
    {
        if (transaction is null || !ReferenceEquals(transaction, _transaction))
        {
            End();
            _transaction = transaction;
        }

        _isWriting |= writes;
        if (mayCommit && transaction is null)
        {
            End();
        }
    }

    /// <summary>Notes that the application takes the driver's connection.</summary>
    public void Take(object? transaction)
    {
        Note(transaction, writes: true, mayCommit: true);
        IsTaken = true;
    }

    /// <summary>Notes that what the commands have written is there to stay.</summary>
    public void End()
    {
        _transaction = null;
        if (_isWriting)
        {
            _isWriting = false;
            _written++;
        }
    }

    /// <summary>Where an operation begins, has ended well, or is begun again after it was rolled back.</summary>
    public int Mark(object? transaction)
    {
        Note(transaction, writes: false);
        return _written;
    }

    /// <summary>Whether anything may have been written since then.</summary>
    public readonly bool HasWritten(int mark) => _isWriting || _written != mark;

    /// <summary>Whether anything was that is there to stay: not in the transaction of the last command, which has not ended.</summary>
    public readonly bool HasCommitted(int mark) => _written != mark;
}
